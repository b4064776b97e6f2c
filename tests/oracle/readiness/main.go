// Answers with what kstatus says of each object: a JSON list in, a JSON list out.
package main

import (
	"encoding/json"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

func main() {
	var asked []json.RawMessage
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		panic(err)
	}
	answers := make([]string, 0, len(asked))
	for _, one := range asked {
		var object map[string]any
		if err := utiljson.Unmarshal(one, &object); err != nil {
			panic(err)
		}
		result, err := status.Compute(&unstructured.Unstructured{Object: object})
		if err != nil {
			answers = append(answers, string(status.UnknownStatus))
		} else {
			answers = append(answers, string(result.Status))
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		panic(err)
	}
}
