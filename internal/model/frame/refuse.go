package frame

import "github.com/weir-ml/weir/mlflow"

// Refuse makes the error that says what is wrong with an input.
func Refuse(format string, args ...any) error {
	return mlflow.Errorf(mlflow.CodeInvalidParameterValue, format, args...)
}

// RefuseType says that a column is of a type that R's vectors have no place for.
func RefuseType(name, typ string) error {
	return Refuse("column %q is of the type %s; numbers, texts, booleans, dates and timestamps can be predicted for", name, typ)
}

// Recover is deferred by whoever calls a reader whose parts refuse by a panic: it turns the panic into its error. Any other
// panic goes on.
func Recover(err *error) {
	if r := recover(); r != nil {
		fault, ok := r.(*mlflow.Error)
		if !ok {
			panic(r)
		}
		*err = fault
	}
}
