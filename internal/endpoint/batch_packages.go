package endpoint

import (
	"slices"

	"github.com/weir-ml/weir/internal/model"
	"github.com/weir-ml/weir/internal/rds"
	"github.com/weir-ml/weir/mlflow"
)

// owners are the packages whose methods predict for objects of a class, for files that do not name them.
var owners = map[string]string{"rpart": "rpart", "nnet": "nnet", "multinom": "nnet", "lda": "MASS", "qda": "MASS", "polr": "MASS", "rlm": "MASS",
	"ranger": "ranger", "randomForest": "randomForest", "gbm": "gbm", "xgb.Booster": "xgboost", "lgb.Booster": "lightgbm", "svm": "e1071",
	"naiveBayes": "e1071", "glmnet": "glmnet", "cv.glmnet": "glmnet", "lmerMod": "lme4", "coxph": "survival", "gam": "mgcv"}

// PackagesOf gives the R packages that a model needs: those that were recorded with it, else those that its file names,
// which is read without being run, and the library of its flavor.
func PackagesOf(m *model.MLmodel, dir string) ([]model.RPackage, error) {
	flavor, file, err := m.RModel(dir)
	if err != nil {
		return nil, err
	}
	packages := slices.Clone(m.RPackages)
	add := func(name string) {
		if !slices.ContainsFunc(packages, func(p model.RPackage) bool { return p.Name == name }) {
			packages = append(packages, model.RPackage{Name: name})
		}
	}
	switch flavor {
	case "crate", "rds":
		if len(m.RPackages) > 0 {
			break
		}
		v, err := rds.ReadFile(file, maxInspect)
		if err != nil {
			return nil, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the model records no packages, and its file cannot be searched for them: %v", err)
		}
		found, err := rds.Inspect(v)
		if err != nil {
			return nil, err
		}
		for _, name := range found.Packages {
			add(name)
		}
		classes := found.Class
		for _, c := range found.Captured {
			classes = append(classes, c.Class...)
		}
		for _, class := range classes {
			if owner, known := owners[class]; known {
				add(owner)
			}
		}
	default:
		add(flavor)
	}
	return packages, nil
}
