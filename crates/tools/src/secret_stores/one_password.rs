//! The 1Password CLI.

use secrecy::{ExposeSecret as _, SecretString};

use super::secret;
use crate::Environment;
use crate::program::{Call, Program};
use bootstrapper_core::failure::{Failure, Result};

const HOST: &str = "OP_CONNECT_HOST";
const CONNECT_TOKEN: &str = "OP_CONNECT_TOKEN";
const SERVICE_TOKEN: &str = "OP_SERVICE_ACCOUNT_TOKEN";
const ACCOUNT: &str = "OP_ACCOUNT";

/// The 1Password CLI.
#[derive(Debug)]
pub struct OnePassword(Program);

/// The credentials of the 1Password CLI. Other settings in the environment are removed: `op` prefers a
/// Connect server to a service account, and that to an account.
#[derive(Debug, Clone)]
pub enum SignIn {
    /// From the environment.
    Usual,
    /// An account that the user is signed in to: its address, email or id.
    Account(String),
    /// A service account, with its token.
    Service(SecretString),
    /// A Connect server.
    Connect {
        /// Its URL.
        host: String,
        /// Its access token.
        token: SecretString,
    },
}

impl OnePassword {
    /// Finds `op`.
    pub fn find(environment: &Environment) -> Result<Self> {
        Program::require("op", environment, "install the 1Password CLI, and sign in").map(Self)
    }

    /// Finds the sandbox's replacement for `op`; never the user's own.
    pub fn of_sandbox(environment: &Environment) -> Result<Self> {
        Program::find_beside("op", environment)
            .map(Self)
            .ok_or_else(|| Failure::input("this sandbox has no vault"))
    }

    /// Reads `op://vault/item/field`.
    pub async fn read(&self, reference: &str, sign_in: &SignIn) -> Result<SecretString> {
        let mut arguments = vec!["read".to_owned(), "--no-newline".to_owned()];
        if let SignIn::Account(account) = sign_in {
            arguments.push(format!("--account={account}"));
        }
        arguments.push(reference.to_owned());
        let call = Call::new(arguments);
        let call = match sign_in {
            SignIn::Usual => call,
            SignIn::Account(_) => call.without(&[HOST, CONNECT_TOKEN, SERVICE_TOKEN, ACCOUNT]),
            SignIn::Service(token) => call
                .without(&[HOST, CONNECT_TOKEN, ACCOUNT])
                .variables(vec![(SERVICE_TOKEN, token.expose_secret().into())]),
            SignIn::Connect { host, token } => call
                .without(&[SERVICE_TOKEN, ACCOUNT])
                .variables(vec![(HOST, host.into()), (CONNECT_TOKEN, token.expose_secret().into())]),
        };
        let hint = match sign_in {
            SignIn::Usual => "sign in with `op signin`, or check the reference".to_owned(),
            SignIn::Account(account) => {
                format!("sign in with `op signin --account {account}`, or check the reference")
            }
            SignIn::Service(_) => "check that the service account may read this vault".to_owned(),
            SignIn::Connect { host, .. } => {
                format!("check that {host} answers, and that its token may read this vault")
            }
        };
        secret(self.0.run(call).await.map_err(|failure| failure.hint(hint))?)
    }
}
