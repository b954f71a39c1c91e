package artifact

// KeyOfURI gives the path below the root that an artifact URI names; INVALID_PARAMETER_VALUE when its files are elsewhere.
func (s *Store) KeyOfURI(uri string) (string, error) { return s.keyOfURI(uri) }
