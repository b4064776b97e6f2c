// Answers with what kustomize-controller builds of each Kustomization: a JSON list in, a JSON list out.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	kustomize "github.com/fluxcd/pkg/kustomize"
	ssa "github.com/fluxcd/pkg/ssa/utils"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kubeclient "sigs.k8s.io/controller-runtime/pkg/client"
)

type question struct {
	// The repository; it is copied, as Flux writes into what it builds.
	Root string `json:"root"`
	// The Flux Kustomization.
	Kustomization map[string]any `json:"kustomization"`
	// The folder that it builds, within the repository.
	Folder string `json:"folder"`
	// What it may substitute from, by kind, name and key.
	Sources map[string]map[string]map[string]string `json:"sources"`
}

type answer struct {
	Objects []map[string]any `json:"objects"`
	Error   string           `json:"error"`
}

// A cluster of ConfigMaps and Secrets in one namespace, which can be read and nothing else.
type cluster struct {
	kubeclient.Client
	sources map[string]map[string]map[string]string
}

func (c cluster) Get(_ context.Context, key kubeclient.ObjectKey, into kubeclient.Object, _ ...kubeclient.GetOption) error {
	switch into := into.(type) {
	case *corev1.ConfigMap:
		data, found := c.sources["ConfigMap"][key.Name]
		if found {
			into.Data = data
			return nil
		}
	case *corev1.Secret:
		data, found := c.sources["Secret"][key.Name]
		if found {
			into.Data = map[string][]byte{}
			for key, value := range data {
				into.Data[key] = []byte(value)
			}
			return nil
		}
	}
	return apierrors.NewNotFound(schema.GroupResource{}, key.Name)
}

// The steps of kustomize-controller's reconciler, `generate` and `build`, with its defaults, and
// the metadata that `apply` adds.
func build(asked question) ([]map[string]any, error) {
	root, err := os.MkdirTemp("", "oracle")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(root)
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return nil, err
	}
	if err := os.CopyFS(root, os.DirFS(asked.Root)); err != nil {
		return nil, err
	}
	folder := filepath.Join(root, asked.Folder)
	if _, err := os.Stat(folder); err != nil {
		return nil, err
	}
	kustomization := unstructured.Unstructured{Object: asked.Kustomization}
	if _, err := kustomize.NewGenerator(root, kustomization).WriteFile(folder); err != nil {
		return nil, err
	}
	built, err := kustomize.SecureBuild(root, folder, true)
	if err != nil {
		return nil, err
	}
	_, substitutes, _ := unstructured.NestedMap(asked.Kustomization, "spec", "postBuild")
	strategy, _, _ := unstructured.NestedString(asked.Kustomization, "spec", "postBuild", "substituteStrategy")
	for _, resource := range built.Resources() {
		if resource.GetName() == "" || resource.GetKind() == "" || resource.GetApiVersion() == "" {
			return nil, fmt.Errorf("no apiVersion, kind and name: %v", resource.String())
		}
		if !substitutes {
			continue
		}
		substituted, err := kustomize.SubstituteVariables(context.Background(), cluster{sources: asked.Sources},
			kustomization, resource, kustomize.SubstituteWithStrict(true), kustomize.SubstituteWithAlways(strategy == "Always"))
		if err != nil {
			return nil, err
		}
		if substituted != nil {
			if _, err := built.Replace(resource); err != nil {
				return nil, err
			}
		}
	}
	text, err := built.AsYaml()
	if err != nil {
		return nil, err
	}
	objects, err := ssa.ReadObjects(strings.NewReader(string(text)))
	if err != nil {
		return nil, err
	}
	labels, _, _ := unstructured.NestedStringMap(asked.Kustomization, "spec", "commonMetadata", "labels")
	annotations, _, _ := unstructured.NestedStringMap(asked.Kustomization, "spec", "commonMetadata", "annotations")
	ssa.SetCommonMetadata(objects, labels, annotations)
	answers := make([]map[string]any, 0, len(objects))
	for _, object := range objects {
		answers = append(answers, object.Object)
	}
	return answers, nil
}

func main() {
	var asked []question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		panic(err)
	}
	answers := make([]answer, 0, len(asked))
	for _, one := range asked {
		objects, err := build(one)
		if err != nil {
			answers = append(answers, answer{Error: err.Error()})
		} else {
			answers = append(answers, answer{Objects: objects})
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		panic(err)
	}
}
