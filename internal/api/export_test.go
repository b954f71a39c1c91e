package api

import "reflect"

func typeOf[T any]() reflect.Type       { return reflect.TypeFor[T]() }
func valueOf[T any](v *T) reflect.Value { return reflect.ValueOf(v).Elem() }
