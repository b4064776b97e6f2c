// Answers with what Flux's own substitution makes of each text: a JSON list in, a JSON list out.
package main

import (
	"encoding/json"
	"os"

	"github.com/fluxcd/pkg/envsubst"
)

type question struct {
	Texts     []string          `json:"texts"`
	Variables map[string]string `json:"variables"`
}

type answer struct {
	Text  string `json:"text"`
	Error bool   `json:"error"`
}

func main() {
	var asked question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		panic(err)
	}
	answers := make([]answer, 0, len(asked.Texts))
	for _, text := range asked.Texts {
		out, err := envsubst.Eval(text, func(name string) (string, bool) {
			value, found := asked.Variables[name]
			return value, found
		})
		answers = append(answers, answer{Text: out, Error: err != nil})
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		panic(err)
	}
}
