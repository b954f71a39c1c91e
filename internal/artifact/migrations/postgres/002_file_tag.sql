-- What an object store calls this version of the file, its ETag; empty on a disk, where size and mtime tell.
alter table file add column tag text not null default '';
