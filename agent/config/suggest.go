package config

import (
	"reflect"
	"strings"
)

// fields are the names a structure of the file may have.
type fields struct {
	names []string       // in the order of the documentation
	index map[string]int // to the field of the Go structure
}

func fieldsOf(structure reflect.Type) fields {
	known := fields{index: map[string]int{}}
	for i := range structure.NumField() {
		name := structure.Field(i).Tag.Get("yaml")
		known.names = append(known.names, name)
		known.index[name] = i
	}
	return known
}

// suggest returns the remedy for an unknown name: the nearest known one, or all of them.
func (f fields) suggest(unknown string) string {
	const longest = 64 // more is no typing mistake, and the distance costs its square
	best, least := "", 3
	for _, name := range f.names {
		if len(unknown) > longest {
			break
		}
		if d := distance(strings.ToLower(unknown), name); d < least && d < len(name) {
			best, least = name, d
		}
	}
	if best != "" {
		return "Did you mean " + best + "?"
	}
	return "Remove it; known here: " + strings.Join(f.names, ", ") + "."
}

// distance is the number of letters to insert, remove or replace to get from a to b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
