-- What is known of a stored file; it holds while size (bytes) and mtime (nanoseconds) are those on the disk.
create table file (
	path text primary key,
	size integer not null,
	mtime integer not null,
	sha256 blob not null
) without rowid;
