// Renders the templates of a chart as Helm does: Go's text/template with the functions of sprig, and those that Helm adds.
//
// On standard input: {"templates": {path: text}, "tops": {path: what "." is in it}}; on standard output: {path: text}.
// A template without an entry in "tops" is only for others to include. The fault of a template is one line on standard error.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"gopkg.in/yaml.v3"
)

// whole has numbers without a fraction as integers, which JSON does not tell apart.
func whole(value any) any {
	switch typed := value.(type) {
	case float64:
		if typed == math.Trunc(typed) {
			return int64(typed)
		}
	case map[string]any:
		copied := map[string]any{}
		for key, item := range typed {
			copied[key] = whole(item)
		}
		return copied
	case []any:
		copied := make([]any, len(typed))
		for place, item := range typed {
			copied[place] = whole(item)
		}
		return copied
	}
	return value
}

func toYaml(value any) (string, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	var plain any
	if err := json.Unmarshal(text, &plain); err != nil {
		return "", err
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	err = encoder.Encode(whole(plain))
	return strings.TrimSuffix(out.String(), "\n"), err
}

func fromYaml(text string) (map[string]any, error) {
	value := map[string]any{}
	err := yaml.Unmarshal([]byte(text), &value)
	return value, err
}

func required(message string, value any) (any, error) {
	if value == nil || value == "" {
		return nil, fmt.Errorf("%s", message)
	}
	return value, nil
}

func functions(all *template.Template) template.FuncMap {
	found := sprig.TxtFuncMap()
	delete(found, "env")
	delete(found, "expandenv")
	found["toYaml"], found["fromYaml"], found["required"] = toYaml, fromYaml, required
	found["include"] = func(name string, top any) (string, error) {
		var out strings.Builder
		err := all.ExecuteTemplate(&out, name, top)
		return out.String(), err
	}
	return found
}

func render(templates map[string]string, tops map[string]any) (map[string]string, error) {
	all := template.New("").Option("missingkey=zero")
	all.Funcs(functions(all))
	paths := []string{}
	for path := range templates {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	for _, path := range paths {
		if _, err := all.New(path).Parse(templates[path]); err != nil {
			return nil, err
		}
	}
	rendered := map[string]string{}
	for _, path := range paths {
		top, wanted := tops[path]
		if !wanted {
			continue
		}
		var out strings.Builder
		if err := all.ExecuteTemplate(&out, path, top); err != nil {
			return nil, err
		}
		rendered[path] = strings.ReplaceAll(out.String(), "<no value>", "")
	}
	return rendered, nil
}

func main() {
	var asked struct {
		Templates map[string]string
		Tops      map[string]any
	}
	rendered := map[string]string{}
	err := json.NewDecoder(os.Stdin).Decode(&asked)
	if err == nil {
		rendered, err = render(asked.Templates, asked.Tops)
	}
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(rendered)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
