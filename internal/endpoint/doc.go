// Package endpoint serves a model: Go owns HTTP, input formats, the queue and the deadlines; R only predicts.
//
// It owns the worker harness (harness.R, base R only; harness.py for models that only Python can load, where the user
// permits that), the protocol that the workers speak, the pool that supervises
// them, the routes of MLflow's scoring server and the rendering of predictions. Bodies become columns in package model,
// columns become R's serialization in package rds. This process never deserializes a model: only workers do.
//
// A request goes like this:
//
//	handler → model.ParseJSON/ParseCSV → rds frame → queue → a slot's worker → rds value → JSON
//
// A slot is one goroutine that owns one R process at a time. Whatever happens to the process (it exits, it hangs past the
// deadline, it breaks the protocol) costs the request that it has in hand and nothing else: the slot starts another one.
package endpoint
