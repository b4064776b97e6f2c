//! Selects the network of a sandbox: real if this machine supports it, otherwise simulated.

use secrecy::ExposeSecret as _;

use super::args::{Network, SandboxArgs};
use super::consent;
use super::out;
use bootstrapper_core::failure::{Failure, FailureKind, Result};
use bootstrapper_gitops::Repository;
use bootstrapper_gitops::pipeline::Config;
use bootstrapper_sandbox::{self as sandbox, RouterSpec};
use bootstrapper_steps::plan::{self, SecretSources};
use bootstrapper_tools::Environment;

/// The key of a Secret that the password of the BGP sessions is substituted from.
const SUBSTITUTED: &str = "BGP_PASSWORD";

/// The key that Cilium reads in the Secret of an `authSecretRef`.
const PASSWORD: &str = "password";

/// The router of a real network; none, with a message, if the network is simulated.
pub(super) async fn router_of(
    cluster: &str,
    repository: &Repository,
    args: &SandboxArgs,
) -> Result<Option<RouterSpec>> {
    let (wanted, program) = (args.network, args.router.into());
    if wanted == Network::Simulated {
        return Ok(None);
    }
    let missing = match RouterSpec::of(&repository.settings_of(cluster)?)? {
        None => vec!["a router (declare BGP_ROUTER_ADDRESS in the cluster's settings.yaml)".to_owned()],
        Some(router) => {
            let missing: Vec<String> = sandbox::missing(program).iter().map(ToString::to_string).collect();
            if missing.is_empty() {
                let password = password_of(cluster, repository, args.trust.as_deref()).await?;
                return Ok(Some(RouterSpec { password, program, ..router }));
            }
            missing
        }
    };
    if wanted == Network::Real {
        let failure = Failure::new(FailureKind::Preflight, "a real sandbox network is not available");
        let failure =
            missing.iter().fold(failure, |failure, lack| failure.because(format!("missing: {lack}")));
        return Err(failure.hint("or use --network simulated"));
    }
    out::say("  sandbox: using a simulated network; missing for a real one:");
    for lack in missing {
        out::say(&format!("  sandbox:   {lack}"));
    }
    Ok(None)
}

/// Resolved as in the run: router and cluster must have the same password.
async fn password_of(cluster: &str, repository: &Repository, trust: Option<&str>) -> Result<Option<String>> {
    let secrets = plan::resolve_secrets(&SecretSources {
        name: cluster,
        config: &Config::load(&repository.root)?,
        root: &repository.root,
        environment: &Environment::default(),
        cluster: None,
        approvals: &consent::already_approved(&repository.root, &[], trust)?,
        in_sandbox: true,
    })
    .await?;
    let substituted = secrets.values.values().find_map(|values| values.get(SUBSTITUTED)?.known());
    // Nothing is built before the sandbox is up, so the Secret of `authSecretRef` goes by its name.
    let mut of_bgp = secrets.values.iter().filter(|((_, name), _)| name.contains("bgp"));
    let value = substituted.or_else(|| of_bgp.find_map(|(_, values)| values.get(PASSWORD)?.known()));
    Ok(value.map(|value| value.expose_secret().to_owned()))
}
