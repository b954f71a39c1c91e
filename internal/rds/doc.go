// Package rds reads and writes R's serialization format, the one behind serialize(), saveRDS() and .rds files.
//
// It owns the format and nothing else: it never evaluates what it reads, and what it cannot represent (a closure's
// code, an environment) it keeps as data that can be looked at. The reader takes versions 2 and 3 in each of R's forms
// (XDR, binary, text), compressed with gzip, bzip2 or xz, or plain; its memory is bounded by the bytes that it is given.
// The writer makes the XDR form, of version 2, which every R since 2.3 reads, or 3, and the binary form for an R on the
// same machine. Package endpoint hands data frames to R and takes predictions from it with this package.
//
// The format is described in section 1.8 of "R Internals" and in R's src/main/serialize.c.
package rds
