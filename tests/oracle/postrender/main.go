// Answers with what helm-controller makes of rendered manifests: a JSON list in, a JSON list out. Put
// together as its internal/postrender does (v1.6.0), from the same packages of kustomize.
package main

import (
	"encoding/json"
	"os"

	"github.com/fluxcd/pkg/apis/kustomize"
	"sigs.k8s.io/kustomize/api/builtins"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/provider"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

type question struct {
	Name, Namespace, Manifests string
	Spec                       struct {
		PostRenderers []struct {
			Kustomize *struct {
				Patches []kustomize.Patch
				Images  []kustomize.Image
			}
		}
		CommonMetadata *struct{ Labels, Annotations map[string]string }
	}
}

type answer struct {
	Manifests string `json:"manifests"`
	Error     string `json:"error"`
}

func main() {
	var asked []question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		panic(err)
	}
	answers := make([]answer, 0, len(asked))
	for _, one := range asked {
		manifests, err := postRendered(one)
		if err != nil {
			answers = append(answers, answer{Error: err.Error()})
		} else {
			answers = append(answers, answer{Manifests: string(manifests)})
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		panic(err)
	}
}

func postRendered(asked question) (manifests []byte, err error) {
	manifests = []byte(asked.Manifests)
	for _, renderer := range asked.Spec.PostRenderers {
		if renderer.Kustomize == nil {
			continue
		}
		if manifests, err = built(manifests, renderer.Kustomize.Patches, renderer.Kustomize.Images); err != nil {
			return nil, err
		}
	}
	if common := asked.Spec.CommonMetadata; common != nil {
		if manifests, err = marked(manifests, common.Labels, common.Annotations); err != nil {
			return nil, err
		}
	}
	return marked(manifests, map[string]string{
		"helm.toolkit.fluxcd.io/name":      asked.Name,
		"helm.toolkit.fluxcd.io/namespace": asked.Namespace,
	}, nil)
}

func built(manifests []byte, patches []kustomize.Patch, images []kustomize.Image) ([]byte, error) {
	files := filesys.MakeFsInMemory()
	whole := types.Kustomization{Resources: []string{"helm-output.yaml"}}
	whole.APIVersion, whole.Kind = types.KustomizationVersion, types.KustomizationKind
	for _, image := range images {
		whole.Images = append(whole.Images, types.Image{
			Name: image.Name, NewName: image.NewName, NewTag: image.NewTag, Digest: image.Digest})
	}
	for _, patch := range patches {
		one := types.Patch{Patch: patch.Patch}
		if target := patch.Target; target != nil {
			one.Target = &types.Selector{
				LabelSelector: target.LabelSelector, AnnotationSelector: target.AnnotationSelector}
			one.Target.Group, one.Target.Version, one.Target.Kind = target.Group, target.Version, target.Kind
			one.Target.Name, one.Target.Namespace = target.Name, target.Namespace
		}
		whole.Patches = append(whole.Patches, one)
	}
	text, err := json.Marshal(whole)
	if err != nil {
		return nil, err
	}
	if err := files.WriteFile("helm-output.yaml", manifests); err != nil {
		return nil, err
	}
	if err := files.WriteFile("kustomization.yaml", text); err != nil {
		return nil, err
	}
	options := &krusty.Options{LoadRestrictions: types.LoadRestrictionsNone, PluginConfig: types.DisabledPluginConfig()}
	resources, err := krusty.MakeKustomizer(options).Run(files, ".")
	if err != nil {
		return nil, err
	}
	return resources.AsYaml()
}

func marked(manifests []byte, labels, annotations map[string]string) ([]byte, error) {
	factory := resmap.NewFactory(provider.NewDefaultDepProvider().GetResourceFactory())
	resources, err := factory.NewResMapFromBytes(manifests)
	if err != nil {
		return nil, err
	}
	for field, transformer := range map[string]interface{ Transform(resmap.ResMap) error }{
		"labels":      &builtins.LabelTransformerPlugin{Labels: labels, FieldSpecs: at("metadata/labels")},
		"annotations": &builtins.AnnotationsTransformerPlugin{Annotations: annotations, FieldSpecs: at("metadata/annotations")},
	} {
		if (field == "labels" && labels == nil) || (field == "annotations" && annotations == nil) {
			continue
		}
		if err := transformer.Transform(resources); err != nil {
			return nil, err
		}
	}
	return resources.AsYaml()
}

func at(path string) []types.FieldSpec {
	return []types.FieldSpec{{Path: path, CreateIfNotPresent: true}}
}
