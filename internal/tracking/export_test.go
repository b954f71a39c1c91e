package tracking

// SetProbe has searches walk along an index when so many runs match each condition, so that few runs are enough to test it.
func (s *Store) SetProbe(n int) { s.probe = n }
