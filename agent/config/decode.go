package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// decoder walks a YAML tree along the types of [Config]. yaml.v3's own decoder with KnownFields stops at other places and
// knows no paths; walking by type also bounds the depth and never expands an alias.
type decoder struct{ *report }

// value stores node in into, a settable value. A null leaves what is there: the default.
func (d decoder) value(node *yaml.Node, path string, into reflect.Value) {
	d.lines[path] = node.Line
	switch {
	case node.Kind == yaml.AliasNode || node.Anchor != "":
		d.spoil(path, "anchors and aliases are not supported",
			"Write the value out; put a text that begins with * or & in quotes.")
	case isNull(node):
	case into.Kind() == reflect.Struct:
		d.structure(node, path, into)
	case into.Kind() == reflect.Slice:
		d.list(node, path, into)
	case node.Kind != yaml.ScalarNode:
		d.spoil(path, "must be a single value", "Remove the list or the nested fields.")
	default:
		d.scalar(node, path, into)
	}
}

// structure stores the members of a mapping in the fields whose yaml tags name them.
func (d decoder) structure(node *yaml.Node, path string, into reflect.Value) {
	if node.Kind != yaml.MappingNode {
		d.spoil(path, "must be a set of fields", "Write \"name: value\" lines, indented below it.")
		return
	}
	fields := fieldsOf(into.Type())
	seen := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, content := node.Content[i], node.Content[i+1]
		where := member(path, printableKey(key))
		index, known := fields.index[key.Value]
		if first, repeated := seen[key.Value]; repeated {
			d.addAt(key.Line, where, fmt.Sprintf("stands twice, first on line %d", first), "Remove one of them.")
			continue
		}
		seen[key.Value] = key.Line
		if !known || key.Kind != yaml.ScalarNode {
			d.addAt(key.Line, where, "unknown field", fields.suggest(key.Value))
			continue
		}
		d.value(content, where, into.Field(index))
	}
}

// list replaces the slice in into by the elements of a sequence.
func (d decoder) list(node *yaml.Node, path string, into reflect.Value) {
	if node.Kind != yaml.SequenceNode {
		d.spoil(path, "must be a list", "Write it as [a, b], or as lines that begin with \"- \".")
		return
	}
	into.Set(reflect.MakeSlice(into.Type(), len(node.Content), len(node.Content)))
	for i, item := range node.Content {
		where, slot := element(path, i), into.Index(i)
		if withDefaults, ok := slot.Addr().Interface().(defaulter); ok {
			withDefaults.setDefaults()
		}
		if isNull(item) {
			d.lines[where] = item.Line
			d.spoil(where, "is empty", "Write a value or remove the line.")
			continue
		}
		d.value(item, where, slot)
	}
}

// scalar stores a single value. Its text is never repeated in a fault: it may be a secret in the wrong place.
func (d decoder) scalar(node *yaml.Node, path string, into reflect.Value) {
	tag := node.ShortTag()
	var err error
	switch into.Addr().Interface().(type) {
	case *time.Duration:
		if err = setDuration(node, into); err != nil {
			d.spoil(path, "must be a time with its unit", "Write for example 500ms, 20s, 2m or 1h.")
		}
		return
	case *ByteSize:
		if err = setSize(node, into); err != nil {
			d.spoil(path, "must be a size", "Write for example 512KiB, 64MiB or 1GiB.")
		}
		return
	}
	switch into.Kind() {
	case reflect.String:
		if tag != "!!str" {
			d.spoil(path, "must be text", "Put the value in quotes.")
			return
		}
		into.SetString(node.Value)
	case reflect.Bool:
		if tag != "!!bool" || node.Decode(into.Addr().Interface()) != nil {
			d.spoil(path, "must be true or false", "Write true or false, without quotes.")
		}
	default:
		if tag != "!!int" || node.Decode(into.Addr().Interface()) != nil {
			d.spoil(path, "must be a whole number", "Write digits only, without quotes.")
		}
	}
}

func setDuration(node *yaml.Node, into reflect.Value) error {
	parsed, err := time.ParseDuration(node.Value)
	into.SetInt(int64(parsed))
	return err
}

func setSize(node *yaml.Node, into reflect.Value) error {
	parsed, err := ParseByteSize(node.Value)
	into.SetInt(int64(parsed))
	return err
}

// addAt records a fault of a key, which has a line of its own.
func (d decoder) addAt(line int, path, problem, remedy string) {
	d.faults = append(d.faults, Fault{Path: path, Line: line, Problem: problem, Remedy: remedy})
}

func isNull(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null" }

// printableKey returns a key as it may stand in a path: a long or strange one is cut, since it may be anything.
func printableKey(key *yaml.Node) string {
	const most = 40
	clean := strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f {
			return '?'
		}
		return r
	}, key.Value)
	if key.Kind != yaml.ScalarNode {
		return "?"
	}
	if len(clean) > most {
		return clean[:most] + "..."
	}
	return clean
}
