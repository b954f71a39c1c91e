-- Runs that an import has begun to bring in and not finished. A later import begins them anew.
create table run_import (run_id integer primary key);
