// Package project runs MLflow projects: a folder, a script or a git repository, with or without an MLproject file, with
// parameters, inside a tracked run. It is `weir run` as a library, and what jobs execute.
//
// It owns the MLproject file, the building of the command and the child process. The run itself is the server's, reached
// through an mlflow.Client.
//
// A parameter's value is data and never becomes code. A command without shell syntax is split into arguments, the values are
// put into those, and no shell sees them. A command with shell syntax is given to bash, as MLproject promises; there a value
// is quoted, and where quoting does not protect (inside quotes, here-documents, arithmetic) only values of harmless characters
// are accepted. What no quoting can help is a command that evaluates its own arguments, such as `eval {p}`.
package project
