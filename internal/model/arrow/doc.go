// Package arrow reads and writes Arrow's IPC format, streams and files, for what R has columns for: logicals, whole
// numbers of every width, floats, decimals, texts, dictionaries, dates, timestamps and null, packed with LZ4, Zstandard or
// not at all. Nested and binary columns are passed over when nobody wants them and refused by name otherwise.
//
// Bodies come from the network. Every offset is checked before it is followed, and memory is charged to the caller's
// frame.Sheet before it is taken: docs/adr/0005 says why that is not arrow-go's reader.
package arrow
