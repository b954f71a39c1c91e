package cli

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/weir-ml/weir/internal/endpoint"
	"github.com/weir-ml/weir/internal/model"
)

//go:embed docker/Dockerfile.tmpl
var dockerfile string

//go:embed docker/packages.R.tmpl
var dockerPackages string

//go:embed docker/start
var dockerStart string

// dockerOptions are the flags of the two commands.
type dockerOptions struct {
	modelOptions
	name, dir, base, binary string
	noBuild                 bool
}

const dockerHelp = `Writes a folder from which a container image of a model server is built: the model, this program, the R packages that were
recorded with the model, and a Dockerfile whose entry point is "weir models serve" on port 8080. Where docker or podman
runs, build-docker builds the image.

The image has R from Debian, with the packages as Debian has them, when the model was made by R 4.2 or older or says
nothing of it; otherwise R of the model's version (rocker/r-ver), with packages from CRAN. --base-image names another image,
which has to have R. Arguments after the image's name go to the model server:

  docker run -p 5000:8080 NAME --workers 4`

func (a *app) buildDocker() *cobra.Command {
	var o dockerOptions
	cmd := &cobra.Command{Use: "build-docker", Short: "Write, and build, a container image that serves a model", Long: dockerHelp, Args: javaArg,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.warnIgnored(cmd)
			if !imageName.MatchString(o.name) {
				return usagef("--name %q is no name of an image", o.name)
			}
			if o.dir == "" {
				o.dir = regexp.MustCompile(`[^A-Za-z0-9._-]+`).ReplaceAllString(o.name, "-") + "-docker"
			}
			return a.dockerImage(cmd.Context(), &o)
		}}
	o.dockerFlags(cmd)
	cmd.Flags().StringVarP(&o.name, "name", "n", "mlflow-r-servable", "name of the image")
	cmd.Flags().StringVar(&o.dir, "output-directory", "", "folder for what the image is built from (default: NAME-docker)")
	cmd.Flags().BoolVar(&o.noBuild, "no-build", false, "only write the folder")
	return cmd
}

func (a *app) generateDockerfile() *cobra.Command {
	var o dockerOptions
	cmd := &cobra.Command{Use: "generate-dockerfile", Short: "Write what a container image that serves a model is built from", Long: dockerHelp, Args: javaArg,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.warnIgnored(cmd)
			o.name, o.noBuild = "IMAGE", true
			return a.dockerImage(cmd.Context(), &o)
		}}
	o.dockerFlags(cmd)
	cmd.Flags().StringVarP(&o.dir, "output-directory", "d", "mlflow-dockerfile", "folder to write")
	return cmd
}

func (o *dockerOptions) dockerFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&o.uri, "model-uri", "m", "", "runs:/RUN/PATH, models:/NAME/VERSION, models:/NAME@ALIAS or a folder")
	f.StringVar(&o.cacheDir, "cache-dir", "", "where fetched models are kept (default: weir/models in the user's cache)")
	f.StringVarP(&o.base, "base-image", "b", "", "image to build on; it has to have R")
	f.StringVar(&o.binary, "weir-binary", "", "the weir of the image, for Linux; this program when empty")
	ignore(cmd, []string{"env-manager", "mlflow-home"}, "install-java", "install-mlflow", "enable-mlserver")
}

// javaArg permits the value that MLflow's --install-java may have.
func javaArg(cmd *cobra.Command, args []string) error {
	if len(args) == 1 && cmd.Flags().Changed("install-java") {
		if _, err := strconv.ParseBool(args[0]); err == nil {
			return nil
		}
	}
	return noArgs(cmd, args)
}

// dockerImage writes the context, and builds it where that is possible.
func (a *app) dockerImage(ctx context.Context, o *dockerOptions) error {
	if err := need("model-uri", o.uri); err != nil {
		return err
	}
	c, err := a.fetch(ctx, &o.modelOptions)
	if err != nil {
		return err
	}
	recipe, err := dockerRecipe(c.Dir, o.base)
	if err != nil {
		return err
	}
	binary, err := linuxBinary(o.binary)
	if err != nil {
		return err
	}
	dir := a.abs(o.dir)
	if err := writeContext(dir, c.Dir, binary, recipe); err != nil {
		return err
	}
	fmt.Fprintf(a.Stderr, "%s: %s holds what the image is built from\n", a.name, o.dir)
	build := []string{"build", "-t", o.name, dir}
	if o.noBuild {
		return nil
	}
	engine := a.containerEngine(ctx)
	if engine == "" {
		fmt.Fprintf(a.Stderr, "%s: neither docker nor podman runs here; where one does: docker build -t %s %s\n", a.name, o.name, o.dir)
		return nil
	}
	cmd := exec.CommandContext(ctx, engine, build...)
	cmd.Stdout, cmd.Stderr = a.Stderr, a.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s build: %w; the folder %s is kept", filepath.Base(engine), err, o.dir)
	}
	fmt.Fprintf(a.Stderr, "%s: built the image %s; run it by: %s run -p 5000:8080 %s\n", a.name, o.name, filepath.Base(engine), o.name)
	return nil
}

// containerEngine finds a program that answers: the client of docker is often there without its server.
func (a *app) containerEngine(ctx context.Context) string {
	for _, name := range []string{"docker", "podman"} {
		if path, err := exec.LookPath(name); err == nil && exec.CommandContext(ctx, path, "info").Run() == nil {
			return path
		}
	}
	return ""
}

// recipe is what the Dockerfile depends on.
type recipe struct {
	Base     string
	Debian   bool     // the base is Debian, without R
	Apt      []string // packages of Debian
	Packages []model.RPackage
	RVersion string
	Compile  bool // some packages have to be compiled
}

// debianR are the packages for models that Debian 12 has, by their names in R; its own R packages come with r-base-core.
var debianR = strings.Fields(`rpart glmnet ranger gbm randomForest caret ggplot2 lme4 survival forecast data.table mgcv nnet MASS class
	lattice Matrix nlme e1071 kernlab party partykit mlbench pls earth kohonen quantreg VGAM gam car lmtest sandwich plm zoo xts tseries
	dplyr tidyr tibble purrr stringr lubridate readr recipes rlang vctrs hardhat rsample coin mvtnorm survey robustbase rms Hmisc fields
	spdep gstat sf sp arm brms rstanarm mice pROC ROCR nnls ipred prodlim pec leaps mda rrcov jsonlite yaml curl`)

// baseR are the packages that are R.
var baseR = strings.Fields("base compiler datasets graphics grDevices grid methods parallel splines stats stats4 tcltk tools utils")

// What a model says of packages and versions goes into files that are run.
var (
	packageName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9.]*$`)
	versionText = regexp.MustCompile(`^[0-9][0-9A-Za-z.-]*$`)
	imageName   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/:@-]*$`)
)

func dockerRecipe(dir, base string) (*recipe, error) {
	m, err := model.Load(dir)
	if err != nil {
		return nil, err
	}
	packages, err := endpoint.PackagesOf(m, dir)
	if err != nil {
		return nil, err
	}
	r := &recipe{Base: base}
	if versionText.MatchString(m.RVersion) {
		r.RVersion = m.RVersion
	}
	if base != "" && !imageName.MatchString(base) {
		return nil, usagef("--base-image %q is no name of an image", base)
	}
	if base == "" {
		r.Base, r.Debian = "debian:12-slim", true
		if m.RVersion != "" && newerThan42(m.RVersion) {
			r.Base, r.Debian = "rocker/r-ver:"+m.RVersion, false
		}
	}
	for _, p := range packages {
		if slices.Contains(baseR, p.Name) {
			continue
		}
		if !packageName.MatchString(p.Name) {
			return nil, usagef("the model names the R package %q, which no package can be called", p.Name)
		}
		if !versionText.MatchString(p.Version) {
			p.Version = ""
		}
		r.Packages = append(r.Packages, p)
		if r.Debian && slices.Contains(debianR, p.Name) {
			r.Apt = append(r.Apt, "r-cran-"+strings.ToLower(p.Name))
		} else {
			r.Compile = true
		}
	}
	slices.Sort(r.Apt)
	return r, nil
}

// newerThan42 reports whether a version of R is newer than Debian's, 4.2, and reads like one.
func newerThan42(version string) bool {
	var major, minor, patch int
	if n, err := fmt.Sscanf(version, "%d.%d.%d", &major, &minor, &patch); n != 3 || err != nil || fmt.Sprintf("%d.%d.%d", major, minor, patch) != version {
		return false
	}
	return major > 4 || major == 4 && minor > 2
}

// linuxBinary gives the program for the image.
func linuxBinary(given string) (string, error) {
	if given != "" {
		head := make([]byte, 4)
		f, err := os.Open(given)
		if err != nil {
			return "", notFound(given, err)
		}
		defer f.Close()
		if _, err := io.ReadFull(f, head); err != nil || string(head) != "\x7fELF" {
			return "", usagef("--weir-binary %s is no program for Linux", given)
		}
		return given, nil
	}
	if runtime.GOOS != "linux" {
		return "", usagef("the image needs weir for Linux: name it by --weir-binary")
	}
	return os.Executable()
}

// writeContext fills a folder, which must be new or one of an earlier call.
func writeContext(dir, modelDir, binary string, r *recipe) error {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		if _, err := os.Stat(filepath.Join(dir, "Dockerfile")); err != nil {
			return usagef("%s holds other files; name a new folder by --output-directory", dir)
		}
		if err := os.RemoveAll(filepath.Join(dir, "model")); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write the folder: %w", err)
	}
	for name, text := range map[string]string{"Dockerfile": dockerfile, "packages.R": dockerPackages} {
		t, err := template.New(name).Parse(text)
		if err != nil {
			return err
		}
		var out strings.Builder
		if err := t.Execute(&out, r); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(out.String()), 0o644); err != nil {
			return fmt.Errorf("write the folder: %w", err)
		}
	}
	start := filepath.Join(dir, "start")
	if err := errors.Join(os.WriteFile(start, []byte(dockerStart), 0o755), os.Chmod(start, 0o755)); err != nil {
		return fmt.Errorf("write the folder: %w", err)
	}
	if err := copyFile(binary, filepath.Join(dir, "weir"), 0o755); err != nil {
		return fmt.Errorf("write the folder: %w", err)
	}
	return copyFolder(modelDir, filepath.Join(dir, "model"))
}

// copyFolder copies a model. A link inside it that leads out of it is not followed: what it leads to is not the model's.
func copyFolder(from, to string) error {
	root, err := os.OpenRoot(from)
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, filepath.FromSlash(name))
		if d.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		f, err := root.Open(filepath.FromSlash(name))
		if err != nil {
			return fmt.Errorf("copy the model: %w", err)
		}
		defer f.Close()
		return writeCopy(f, target, 0o644)
	})
}

func copyFile(from, to string, mode os.FileMode) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	return writeCopy(f, to, mode)
}

// writeCopy replaces a file, even one that is a program that runs.
func writeCopy(r io.Reader, to string, mode os.FileMode) error {
	if err := removeIfThere(to); err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Chmod(mode), f.Close())
}
