// Answers with what Flux makes of the values of each release: a JSON list in, a JSON list out.
package main

import (
	"context"
	"encoding/json"
	"os"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/chartutil"
	"github.com/go-logr/logr"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	loader "helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
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
	// A chart that shows what its templates see of the values; none if nobody asks.
	Chart string `json:"chart"`
}

type answer struct {
	Values map[string]any `json:"values"`
	// What the templates of the chart make of them.
	Seen  string `json:"seen"`
	Error string `json:"error"`
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

// Renders as helm-controller does: with Helm's library, and with the values as they are in memory.
func seen(folder string, values map[string]any) string {
	if folder == "" {
		return ""
	}
	chart, err := loader.Load(folder)
	if err != nil {
		panic(err)
	}
	options := common.ReleaseOptions{Name: "seen", Namespace: "default", Revision: 1, IsInstall: true}
	whole, err := util.ToRenderValues(chart, values, options, common.DefaultCapabilities)
	if err != nil {
		return "refused: " + err.Error()
	}
	files, err := engine.Render(chart, whole)
	if err != nil {
		return "refused: " + err.Error()
	}
	return files["seen/templates/seen.yaml"]
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
			answers = append(answers, answer{Values: values, Seen: seen(asked[len(answers)].Chart, values)})
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		panic(err)
	}
}
