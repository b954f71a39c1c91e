-- Finds the versions whose files lie below a place, before somebody removes what is there.
create index model_version_by_storage on model_version (substr(storage, 1, 256));
create index model_version_by_logged_model on model_version (logged_model_id);
