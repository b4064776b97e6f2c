// Answers whether each version lies in its range, as Helm and Flux read both: a JSON list in, a JSON
// list out. Null: one of them cannot be read.
package main

import (
	"encoding/json"
	"os"

	"github.com/Masterminds/semver/v3"
)

type question struct {
	Range   string `json:"range"`
	Version string `json:"version"`
}

func main() {
	var asked []question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		panic(err)
	}
	answers := make([]*bool, 0, len(asked))
	for _, one := range asked {
		constraint, err := semver.NewConstraint(one.Range)
		version, notVersion := semver.NewVersion(one.Version)
		if err != nil || notVersion != nil {
			answers = append(answers, nil)
			continue
		}
		holds := constraint.Check(version)
		answers = append(answers, &holds)
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		panic(err)
	}
}
