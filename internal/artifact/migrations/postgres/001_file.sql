-- What is known of a stored file; it holds while size (bytes) and mtime (nanoseconds) are those on the disk.
create table file (
	path text collate "C" primary key,
	size bigint not null,
	mtime bigint not null,
	sha256 bytea not null
);
