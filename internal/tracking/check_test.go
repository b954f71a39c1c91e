package tracking_test

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-ml/weir/internal/sqldb"
	"github.com/weir-ml/weir/internal/sqldb/sqldbtest"
	"github.com/weir-ml/weir/internal/tracking"
	"github.com/weir-ml/weir/mlflow"
)

func TestCheckFindsWhatDoesNotAgree(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newServer(t, db)
		for range 3 {
			s.fullRun("0")
		}
		s.fullModel("0")
		odd := s.run("0")
		for i, v := range []any{"NaN", "Infinity", "-Infinity", 0, -1, "NaN"} {
			s.metric(odd, "odd", v, int64(i), 7)
			s.metric(odd, "same", v, 1, 1)
		}
		for range 2 { // points that are the same, and one that comes late
			s.metric(odd, "late", 1, 5, 5)
			s.metric(odd, "late", 2, 1, 1)
		}
		documented := s.fullRun("0")
		if err := s.store.BuildDocument(t.Context(), documented); err != nil {
			t.Fatal(err)
		}
		check := func() (faults []string, n tracking.CheckCounts) {
			n, err := tracking.Check(t.Context(), db, func(what string) { faults = append(faults, what) })
			if err != nil {
				t.Fatal(err)
			}
			return faults, n
		}
		faults, n := check()
		if want := (tracking.CheckCounts{Experiments: 1, Runs: 5, LoggedModels: 1, Metrics: 11, Points: 4*601 + 16}); len(faults) > 0 || n != want {
			t.Errorf("%q, %s", faults, cmp.Diff(want, n))
		}
		for _, damage := range []struct{ sql, want string }{
			{`update latest set value = 3.25 where key_id in (select id from key where name = 'm')`, "shows other values of metric m"},
			{`update latest set vmin = null where key_id in (select id from key where name = 'odd')`, "shows other values of metric odd"},
			{`delete from latest where key_id in (select id from key where name = 'late')`, "has points of metric late and shows none"},
			{`delete from tail where key_id in (select id from key where name = 'same')`, "shows a value of metric same, which has no points"},
			{`update seg set vmax = -1`, "another summary"},
			{`update seg set data = $1`, "cannot be read"},
			{`update param set value = 'changed' where run_id in (select run_id from run_doc)`, "has a document that is not what its rows say"},
			{`insert into param (run_id, key_id, value) values (999, 1, 'x')`, "rows of param belong to no run"},
			{`update run set exp_id = (select max(id) from experiment)`, "have a name that is not one of their experiment's"},
			{`delete from dataset`, "uses of datasets name no dataset"},
		} {
			err := db.Write(t.Context(), func(tx *sqldb.Tx) error {
				if strings.Contains(damage.sql, "$1") {
					_, err := tx.Exec(damage.sql, []byte{1, 2, 3})
					return err
				}
				if strings.Contains(damage.sql, "max(id)") {
					if _, err := tx.Exec(`insert into experiment (public_id, name, artifact_location, created_at, updated_at) values ('77', 'x', '', 0, 0)`); err != nil {
						return err
					}
				}
				_, err := tx.Exec(damage.sql)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			faults, _ := check()
			if !strings.Contains(strings.Join(faults, "\n"), damage.want) {
				t.Errorf("after %q: %q", damage.sql, faults)
			}
		}
	})
}

func TestCheckAgreesWithBlocksThatOverlap(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := newServer(t, db)
		run := s.run("0")
		for k := range 4 {
			batch := mlflow.LogBatchRequest{RunID: run}
			for i := range 700 {
				v := math.Sin(float64(i*(k+1))) * 100
				if i%97 == 0 {
					v = math.NaN()
				}
				batch.Metrics = append(batch.Metrics, mlflow.Metric{Key: "m", Value: mlflow.Float(v), Timestamp: int64((i * 7919) % 701), Step: int64((i*31 + k) % 500)})
			}
			ok[empty](s, "POST", "runs/log-batch", batch)
		}
		if _, err := tracking.Check(t.Context(), db, func(what string) { t.Error(what) }); err != nil {
			t.Fatal(err)
		}
	})
}
