// Answers with what Flux makes of the values of each release: a JSON list in, a JSON list out.
package main

import (
	"context"
	"encoding/json"
	"os"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/chartutil"
	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kubeclient "sigs.k8s.io/controller-runtime/pkg/client"
)

type question struct {
	// By kind, name and key.
	Sources map[string]map[string]map[string]string `json:"sources"`
	From    []meta.ValuesReference                  `json:"from"`
	Values  map[string]any                          `json:"values"`
}

type answer struct {
	Values map[string]any `json:"values"`
	Error  string         `json:"error"`
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

func main() {
	var asked []question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		panic(err)
	}
	answers := make([]answer, 0, len(asked))
	for _, one := range asked {
		values, err := chartutil.ChartValuesFromReferences(context.Background(), logr.Discard(),
			cluster{sources: one.Sources}, "n", one.Values, one.From...)
		if err != nil {
			answers = append(answers, answer{Error: err.Error()})
		} else {
			answers = append(answers, answer{Values: values})
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		panic(err)
	}
}
