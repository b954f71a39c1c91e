package tracking

import (
	"context"

	"github.com/weir-ml/weir/internal/api"
	"github.com/weir-ml/weir/internal/search"
	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/mlflow"
)

// countPiece is how many runs are looked at together where the database cannot decide the filter.
const countPiece = 2000

// CountRunsRequest is a search for runs without its order and its page.
type CountRunsRequest struct {
	ExperimentIDs []string        `json:"experiment_ids,omitempty"`
	Filter        string          `json:"filter,omitempty"`
	RunViewType   mlflow.ViewType `json:"run_view_type,omitempty"`
}

// CountRunsResponse says how many runs such a search finds.
type CountRunsResponse struct {
	Runs int64 `json:"runs"`
}

// CountRuns counts the runs that a search over all its pages finds. A filter that cannot be read is
// INVALID_PARAMETER_VALUE, with the message of the search.
func (s *Store) CountRuns(ctx context.Context, req *CountRunsRequest) (*CountRunsResponse, error) {
	filter, err := search.Runs.Parse(req.Filter, search.Options{Now: s.o.Now()})
	if err != nil {
		return nil, err
	}
	scope := api.ScopeOf(ctx, "experiment")
	resp := &CountRunsResponse{}
	return resp, s.db.Search(ctx, func(tx *sqldb.Tx) error {
		resp.Runs = 0
		runs := &mlflow.SearchRunsRequest{ExperimentIDs: req.ExperimentIDs, RunViewType: req.RunViewType}
		merged, err := s.runLists(tx, runs, scope, filter, nil, nil, countPiece)
		if err != nil {
			return err
		}
		for _, l := range merged.lists {
			n, err := l.count()
			if err != nil {
				return err
			}
			resp.Runs += n
		}
		return nil
	})
}

// count gives how many runs of the experiment the list would find.
func (l *runList) count() (n int64, err error) {
	if l.empty {
		return 0, nil
	}
	if l.inGo == nil {
		q := &query{tx: l.tx}
		from, where, err := l.matching(q)
		if err != nil {
			return 0, err
		}
		err = l.tx.QueryRow(`select count(*) from `+from+` where `+where, q.args...).Scan(&n)
		return n, err
	}
	for !l.empty {
		if err := l.fill(); err != nil {
			return 0, err
		}
		n += int64(len(l.buf))
	}
	return n, nil
}

// matching gives the tables and the condition of a search without an order, which the query of a page cannot leave out.
func (l *runList) matching(q *query) (from, where string, err error) {
	c := conditions{query: q, attribute: runAttributes, keyed: func(t *search.Term, cond func(string) string) (string, error) { return l.keyed(q, t, cond) }}
	from = "run r"
	if l.drive != nil {
		join := " join "
		if l.tx.Dialect() == sqldb.SQLite {
			join = " cross join " // SQLite then begins with the few values
		}
		from = keyTables[l.drive.Entity].table + " d" + join + "run r on r.id = d.run_id"
		where = "d.key_id = " + q.arg(l.driveID) + l.driveCondition(&c, l.drive) + " and "
	}
	where += "r.exp_id = " + q.arg(l.exp.id)
	switch l.view {
	case mlflow.DeletedOnly:
		where += " and r.deleted = 1"
	case mlflow.All:
	default:
		where += " and r.deleted = 0"
	}
	if l.inSQL == nil {
		return from, where, nil
	}
	condition, err := c.of(l.inSQL)
	return from, where + " and " + condition, err
}
