//! Post-rendering of a chart before Helm applies it: kustomize, once for each post-renderer, with or without
//! hooks.
//!
//! Helm runs a program for it: this one, as `bootstrapper post-render`.

use std::ffi::OsString;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Environment, Kustomize};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::private::{self, Folder};
use bootstrapper_core::yaml;

/// The post-rendering of a release.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct PostRendering {
    /// Kustomizations without resources; each is applied to the result of the previous one. The last only
    /// adds labels and annotations.
    pub kustomizations: Vec<Value>,
    /// How hooks are handled.
    pub hooks: HookRendering,
}

/// How hooks are post-rendered (`helm.sh/helm/v4/pkg/action.PostRenderStrategy`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookRendering {
    /// Together with the other objects: no object may be duplicated.
    #[default]
    Combined,
    /// Separately.
    Separate,
    /// Not at all.
    Left,
}

/// The input of a post-rendering, as a file for the program that Helm runs.
#[derive(Serialize, Deserialize)]
struct Job {
    rendering: PostRendering,
    environment: Environment,
}

const JOB: &str = "job.json";
const PLUGIN: &str = "bootstrapper-post-render";

impl PostRendering {
    /// Post-renders the rendered text of a chart.
    pub async fn run(&self, manifests: String, environment: &Environment) -> Result<String> {
        if self.kustomizations.is_empty() || manifests.trim().is_empty() {
            return Ok(manifests);
        }
        let kustomize = Kustomize::find(environment)?;
        if self.hooks == HookRendering::Combined {
            return self.kustomized(manifests, &kustomize).await;
        }
        let all: Vec<Value> = yaml::from_multiple(&manifests, Path::new("the rendered chart"))?;
        let (hooks, others): (Vec<Value>, Vec<Value>) =
            all.into_iter().filter(|one| !one.is_null()).partition(is_hook);
        let hooks = match self.hooks {
            HookRendering::Left => text(&hooks),
            _ => self.kustomized(text(&hooks), &kustomize).await?,
        };
        Ok(format!("{hooks}\n---\n{}", self.kustomized(text(&others), &kustomize).await?))
    }

    async fn kustomized(&self, mut manifests: String, kustomize: &Kustomize) -> Result<String> {
        for kustomization in &self.kustomizations {
            if manifests.trim().is_empty() {
                break;
            }
            let folder = Folder::in_memory()?;
            let mut whole = kustomization.clone();
            whole["resources"] = json!(["rendered.yaml"]);
            fs::write(folder.path().join("kustomization.yaml"), whole.to_string())
                .and_then(|()| fs::write(folder.path().join("rendered.yaml"), &manifests))
                .map_err(|error| unwritten(&error))?;
            manifests = kustomize.build(folder.path()).await?;
        }
        Ok(manifests)
    }
}

fn is_hook(object: &Value) -> bool {
    object["metadata"]["annotations"]["helm.sh/hook"].is_string()
}

fn text(objects: &[Value]) -> String {
    objects.iter().map(Value::to_string).collect::<Vec<_>>().join("\n---\n")
}

fn unwritten(error: &std::io::Error) -> Failure {
    Failure::step("cannot write to a temporary folder").caused_by(error)
}

/// Helm's options for post-rendering.
pub(super) struct PostRenderOptions {
    pub(super) arguments: Vec<OsString>,
    pub(super) variables: Vec<(&'static str, OsString)>,
    _folder: Option<Folder>,
}

/// Makes Helm post-render with this program: Helm 4 requires a plugin. Helm 3 excludes hooks from
/// post-rendering, which is an error if they need more than labels.
pub(super) fn helm_arguments(
    rendering: &PostRendering,
    environment: &Environment,
    helm: &Version,
) -> Result<PostRenderOptions> {
    if rendering.kustomizations.is_empty() {
        return Ok(PostRenderOptions { arguments: Vec::new(), variables: Vec::new(), _folder: None });
    }
    if helm.major < 4 && rendering.hooks != HookRendering::Left && rendering.kustomizations.len() > 1 {
        return Err(Failure::input(format!("helm {helm} does not post-render hooks, but Flux does"))
            .hint("install Helm 4, or set `postRenderStrategy: nohooks` in the HelmRelease"));
    }
    let folder = Folder::in_memory()?;
    let job = Job { rendering: rendering.clone(), environment: environment.clone() };
    let job_file = folder.path().join(JOB);
    let this = std::env::current_exe()
        .map_err(|error| Failure::step("cannot determine the path of this program").caused_by(&error))?;
    fs::write(&job_file, json!(job).to_string()).map_err(|error| unwritten(&error))?;
    if helm.major < 4 {
        let mut arguments: Vec<OsString> = vec!["--post-renderer".into(), this.into()];
        for argument in [OsString::from("post-render"), job_file.into()] {
            arguments.extend(["--post-renderer-args".into(), argument]);
        }
        return Ok(PostRenderOptions { arguments, variables: Vec::new(), _folder: Some(folder) });
    }
    let plugin = json!({
        "apiVersion": "v1", "type": "postrenderer/v1", "name": PLUGIN, "version": env!("CARGO_PKG_VERSION"),
        "runtime": "subprocess",
        // Helm splits the command at spaces, but not the value of a variable in it.
        "runtimeConfig": {"platformCommand": [{"command": "${BOOTSTRAPPER}", "args": ["post-render", "${HELM_PLUGIN_DIR}/job.json"]}]},
    });
    let plugins = folder.path().join("plugins");
    let of_plugin = plugins.join(PLUGIN);
    fs::create_dir_all(&of_plugin)
        .and_then(|()| fs::rename(&job_file, of_plugin.join(JOB)))
        .and_then(|()| fs::write(of_plugin.join("plugin.yaml"), plugin.to_string()))
        .map_err(|error| unwritten(&error))?;
    Ok(PostRenderOptions {
        arguments: vec!["--post-renderer".into(), PLUGIN.into()],
        variables: vec![("HELM_PLUGINS", plugins.into()), ("BOOTSTRAPPER", this.into())],
        _folder: Some(folder),
    })
}

/// The program that Helm runs: post-renders standard input. The run that started Helm has written `job`.
pub async fn post_render(job: &PathBuf) -> Result<String> {
    let unread = |error: &dyn std::fmt::Display| {
        Failure::internal("cannot read the post-renderer job").because(error.to_string())
    };
    // Its temporary files are in the run's folder, and are deleted with it, however either of them ends.
    job.parent().inspect(|folder| private::nest_in(folder));
    let text = fs::read(job).map_err(|error| unread(&error))?;
    let Job { rendering, environment } = serde_json::from_slice(&text).map_err(|error| unread(&error))?;
    let mut manifests = String::new();
    std::io::stdin().read_to_string(&mut manifests).map_err(|error| unread(&error))?;
    let rendered = rendering.run(manifests, &environment).await?;
    // Helm rejects empty output.
    Ok(if rendered.trim().is_empty() { "# nothing\n".to_owned() } else { rendered })
}
