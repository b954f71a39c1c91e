// Package parquet reads and writes Parquet files for what R has columns for: booleans, whole numbers, floats, decimals,
// texts, dates, timestamps (INT96 too) and null. It reads every encoding of both page versions, packed with Snappy, gzip,
// Zstandard, LZ4 or not at all; nested and binary columns are passed over when nobody wants them and refused by name
// otherwise, and so are encrypted files, and those packed with brotli, LZO or Hadoop's framing of LZ4. It writes plain pages
// packed with Snappy, in row groups that a file which was broken off goes on behind.
//
// Bodies come from the network. One page of each column is in memory at a time, and what it takes is charged to the
// caller's frame.Sheet before it is taken: docs/adr/0005 says why that is not parquet-go's reader.
package parquet
