package amqp

// composite is a described list, the form of every performative, terminus, state and error.
type composite interface {
	// descriptor is the numeric descriptor.
	descriptor() uint64
	// fields are the list's elements; trailing nils are left out on the wire.
	fields() List
}

// describe turns c into a value that Append can write.
func describe(c composite) Described {
	l := c.fields()
	for len(l) > 0 && l[len(l)-1] == nil {
		l = l[:len(l)-1]
	}
	return Described{c.descriptor(), l}
}

// reader takes typed fields out of a composite's list. The first fault sticks; the caller asks once at the end.
type reader struct {
	name string
	list List
	err  error
}

// opt returns field i, and the zero value when it is null or absent.
func opt[T any](r *reader, i int) T {
	v, _ := maybe[T](r, i)
	return v
}

// maybe returns field i and whether it was there.
func maybe[T any](r *reader, i int) (v T, present bool) {
	if i >= len(r.list) || r.list[i] == nil {
		return v, false
	}
	v, present = r.list[i].(T)
	if !present && r.err == nil {
		r.err = malformed("%s: field %d is %T", r.name, i, r.list[i])
	}
	return v, present
}

// ptr returns field i as a pointer, nil when it is null or absent.
func ptr[T any](r *reader, i int) *T {
	if v, ok := maybe[T](r, i); ok {
		return &v
	}
	return nil
}

// must returns field i and makes its absence a fault.
func must[T any](r *reader, i int) T {
	v, ok := maybe[T](r, i)
	if !ok && r.err == nil {
		r.err = malformed("%s: field %d is mandatory", r.name, i)
	}
	return v
}

// orElse returns field i, or the default the specification gives for it.
func orElse[T any](r *reader, i int, def T) T {
	if v, ok := maybe[T](r, i); ok {
		return v
	}
	return def
}

// val is the inverse of ptr: null for nil.
func val[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}

// set writes null instead of an empty map.
func (m Map) orNull() any {
	if len(m) == 0 {
		return nil
	}
	return m
}

// nonZero writes null instead of the zero value, which is the default of the field.
func nonZero[T comparable](v T) any {
	var zero T
	if v == zero {
		return nil
	}
	return v
}
