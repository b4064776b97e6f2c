//! A tenant of one cluster reaches the database of another as the layout declares it: by the global Service, through
//! the policies of both, with a certificate for that name by the declared CA, and again after the primary has changed.
//!
//! PostgreSQL and its replication are real, and so is the operator that brings the CA's certificate to the tenant. What
//! CloudNativePG does is done here: it labels the primary, and issues a certificate for the declared names.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use backon::Retryable as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bootstrapper::cluster::Cluster;
use bootstrapper::gitops::{Declared, Repository};
use bootstrapper::object::{Complete, Object, ObjectRef};
use bootstrapper::tools::{Environment, Kustomize};
use kube::api::{Api, ApiResource, Patch, PatchParams};
use kube::core::GroupVersionKind;
use rcgen::{CertificateParams, DnType, Issuer, KeyPair};
use serde_json::{Value, json};

use crate::common::{self, programs};
use crate::site::{POLICY, Site};

/// The tenant of the layout.
const TENANT: &str = "example";

const NAMESPACE: &str = "postgres";
const CONTAINER: &str = "postgres";
/// The ExternalSecret and the Secret of the CA.
const AUTHORITY: &str = "postgres-infra-authority";
const PASSWORD: &str = "of-the-test";

/// The CA of the sandbox's vault signs with Ed25519, which has no digest that PostgreSQL could bind passwords to.
const BINDING: &str = "disable";

/// Where a pod has its data, and what it needs.
const FOLDER: &str = "/var/lib/bootstrapper-test";

/// The folder of PostgreSQL's programs, if it is installed.
fn installed() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.filter_map(Result::ok);
    versions.map(|version| version.path().join("bin")).filter(|bin| bin.join("initdb").exists()).max()
}

pub(crate) async fn a_tenant_reaches_the_database_of_another_cluster(
    site: &Site,
    infra: &Cluster,
    apps: &Cluster,
) {
    let Some(programs) = installed() else {
        eprintln!("the path to a database is not tried here: this machine lacks PostgreSQL (postgresql-15)");
        return;
    };
    let declared = (declared("infra").await, declared("apps").await);
    let service = ObjectRef::namespaced("v1", "Service", NAMESPACE, "postgres-infra");
    let namespace = |name: &str| ObjectRef::cluster_scoped("v1", "Namespace", name);
    let policy = ObjectRef::namespaced("cilium.io/v2", "CiliumNetworkPolicy", TENANT, "tenant");
    let kept = ObjectRef::namespaced("external-secrets.io/v1", "ExternalSecret", NAMESPACE, AUTHORITY);
    let set =
        |name: &str| ObjectRef::namespaced("fluxcd.controlplane.io/v1", "ResourceSet", "flux-system", name);
    apply(infra, &declared.0, &[namespace(NAMESPACE), service.clone(), kept]).await;
    let spaces = [NAMESPACE, TENANT, "dragonfly"].map(namespace);
    let sets = ["database-peers", "database-authorities", "example-databases"].map(set);
    apply(apps, &declared.1, &[&spaces[..], &[policy], &sets].concat()).await;

    let authority = Authority::of(&secret(infra, NAMESPACE).await);
    // The certificate has reached the tenant of the other cluster; the key has not even reached that cluster.
    for namespace in [NAMESPACE, TENANT] {
        let there = secret(apps, namespace).await;
        assert_eq!(there, BTreeMap::from([("ca.crt".to_owned(), authority.pem.clone())]), "{namespace}");
    }
    let names = names(&declared.0);
    let name = names.last().unwrap().clone();
    let certificate = authority.certificate(names);
    let primary = Server::start(infra, "postgres-infra-1", &programs).await;
    primary.take_over_files(&certificate).await;
    primary.create().await;
    primary.label(site, "primary").await;
    let replica = Server::start(infra, "postgres-infra-2", &programs).await;
    replica.take_over_files(&certificate).await;
    replica.follow(&primary).await;
    replica.label(site, "replica").await;

    let psql = programs.join("psql").display().to_string();
    let client = Client::start(apps, &service, name, psql).await;
    client
        .until("create table if not exists kept (value text primary key); select pg_is_in_recovery()", "f")
        .await;
    client
        .until(
            "insert into kept values ('before') on conflict do nothing; select inet_server_addr()",
            &primary.address,
        )
        .await;

    // Whoever answers under another name is not believed; nothing else of the database's pods is reached.
    let impostor = client.ask("postgres-other.postgres.svc", "select 1").await.unwrap_err();
    assert!(impostor.contains("does not match host name"), "{impostor}");
    assert!(
        !client.connects(&primary.address, OTHER_PORT).await,
        "the tenant's policy admits port 5432 only"
    );
    assert!(client.connects(&primary.address, PORT).await);

    replica.until_it_has("before").await;
    primary.stop().await;
    replica.promote().await;
    replica.label(site, "primary").await;
    client
        .until(
            "insert into kept values ('after') on conflict do nothing; select inet_server_addr()",
            &replica.address,
        )
        .await;
    client.until("select string_agg(value, ' ' order by value desc) from kept", "before after").await;

    replica.stop().await;
    for set in &sets {
        apps.delete(set).await.unwrap();
    }
    for cluster in [infra, apps] {
        for namespace in &spaces {
            cluster.delete(namespace).await.unwrap();
        }
    }
}

/// An object that a controller creates.
async fn existing(cluster: &Cluster, id: &ObjectRef) -> Object {
    let found = || async { cluster.get(id).await.unwrap().ok_or_else(|| format!("{id} does not exist")) };
    found.retry(POLICY).await.unwrap()
}

/// The Secret with the CA of the database, once it exists.
async fn secret(cluster: &Cluster, namespace: &str) -> BTreeMap<String, String> {
    let secret = existing(cluster, &ObjectRef::namespaced("v1", "Secret", namespace, AUTHORITY)).await;
    let value = |(name, value): (&String, &Value)| {
        let text = STANDARD.decode(value.as_str().unwrap()).unwrap();
        (name.clone(), String::from_utf8(text).unwrap())
    };
    secret.data["data"].as_object().unwrap().iter().map(value).collect()
}

const PORT: u16 = 5432;

/// What keeps a pod of the test alive listens here.
const OTHER_PORT: u16 = 8080;

/// What this repository declares for a cluster.
async fn declared(cluster: &str) -> Declared {
    let environment = Environment { path: vec![programs().to_owned()], ..Environment::default() };
    let copy = common::repository();
    let repository = Repository::open(copy.path()).unwrap();
    let secrets = common::seeded(copy.path(), cluster);
    repository.load(cluster, &Kustomize::find(&environment).unwrap(), &secrets).await.unwrap()
}

async fn apply(cluster: &Cluster, declared: &Declared, objects: &[ObjectRef]) {
    for id in objects {
        let object = declared.objects().find(|object| ObjectRef::of(object) == *id);
        let object = object.unwrap_or_else(|| panic!("{id} is not declared")).clone();
        cluster.apply(&Complete::of_own(object), false).await.unwrap();
    }
}

/// Where a pod mounts its Secret.
const MOUNTED: &str = "/etc/database-authority";

/// The names that clients of other clusters verify, as the database declares them.
fn names(declared: &Declared) -> Vec<String> {
    let is_database = |object: &&Object| {
        object.types.as_ref().is_some_and(|types| types.kind == "Cluster")
            && object.metadata.namespace.as_deref() == Some(NAMESPACE)
    };
    let database = declared.objects().find(is_database).unwrap();
    serde_json::from_value(database.data["spec"]["certificates"]["serverAltDNSNames"].clone()).unwrap()
}

/// The declared CA, with which CloudNativePG issues the certificates of the server.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key.
struct Certificate {
    chain: String,
    key: String,
}

impl Authority {
    fn of(secret: &BTreeMap<String, String>) -> Self {
        let pem = secret["ca.crt"].clone();
        let key = KeyPair::from_pem(&secret["ca.key"]).unwrap();
        Self { issuer: Issuer::from_ca_cert_pem(&pem, key).unwrap(), pem }
    }

    fn certificate(&self, names: Vec<String>) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, "postgres");
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Certificate { chain: certificate.pem(), key: key.serialize_pem() }
    }
}

/// A pod that lives until it is deleted; its programs are started from outside. It may mount a Secret.
fn pod(id: &ObjectRef, labels: &Value, secret: Option<&str>) -> Object {
    let volumes = secret.map(|name| json!([{"name": "secret", "secret": {"secretName": name}}]));
    let mounts = secret.map(|_| json!([{"name": "secret", "mountPath": MOUNTED, "readOnly": true}]));
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": id.name, "namespace": id.namespace, "labels": labels},
        "spec": {
            "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 26, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": CONTAINER,
                "image": "registry.k8s.io/e2e-test-images/agnhost:2.53",
                "command": ["agnhost"],
                "args": ["netexec", format!("--http-port={OTHER_PORT}"), "--udp-port=8081"],
                "ports": [{"name": "postgresql", "containerPort": PORT}],
                "readinessProbe": {"httpGet": {"path": "/echo?msg=", "port": OTHER_PORT}},
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                "volumeMounts": mounts,
            }],
            "volumes": volumes,
        },
    }))
    .unwrap()
}

/// Creates a pod; its address, once it is ready.
async fn ready(cluster: &Cluster, id: &ObjectRef, labels: &Value, secret: Option<&str>) -> String {
    cluster.apply(&Complete::of_own(pod(id, labels, secret)), false).await.unwrap();
    let is_ready = || async {
        let pod = cluster.get(id).await.unwrap().unwrap();
        let status = &pod.data["status"];
        let address = status["podIP"].as_str().map(str::to_owned);
        address.filter(|_| status["containerStatuses"][0]["ready"] == true).ok_or_else(|| status.to_string())
    };
    is_ready.retry(POLICY).await.unwrap()
}

/// What a shell in a pod writes, if it succeeds; else what it says of that.
async fn shell(cluster: &Cluster, pod: &ObjectRef, script: &str) -> Result<String, String> {
    let limit = Duration::from_mins(1);
    let ran = cluster.exec(pod, CONTAINER, &["bash", "-c", script], limit).await;
    let ran = ran.map_err(|failure| format!("{failure} {:?}", failure.because))?;
    if ran.succeeded { Ok(ran.stdout.trim().to_owned()) } else { Err(ran.stderr) }
}

/// An instance of PostgreSQL in a pod.
struct Server<'a> {
    cluster: &'a Cluster,
    pod: ObjectRef,
    address: String,
    programs: &'a std::path::Path,
}

impl<'a> Server<'a> {
    async fn start(cluster: &'a Cluster, name: &str, programs: &'a std::path::Path) -> Self {
        let pod = ObjectRef::namespaced("v1", "Pod", NAMESPACE, name);
        let address = ready(cluster, &pod, &json!({"cnpg.io/cluster": "postgres-infra"}), None).await;
        Self { cluster, pod, address, programs }
    }

    /// Runs it with PostgreSQL's programs, as PostgreSQL's user.
    async fn run(&self, script: &str) -> String {
        let script = format!("export PATH={}:$PATH PGDATA={FOLDER}/data\n{script}", self.programs.display());
        let as_user = format!("cd / && exec runuser -u postgres -- bash -ec {}", quoted(&script));
        shell(self.cluster, &self.pod, &as_user).await.unwrap_or_else(|said| panic!("{}: {said}", self.pod))
    }

    async fn take_over_files(&self, certificate: &Certificate) {
        let Certificate { chain, key } = certificate;
        let script = format!(
            "install -d -o postgres -m 700 {FOLDER} && cd {FOLDER} && umask 077 \
             && echo {} > server.crt && echo {} > server.key && chown postgres server.*",
            quoted(chain),
            quoted(key)
        );
        shell(self.cluster, &self.pod, &script).await.unwrap();
    }

    /// A new database, as the layout declares it.
    async fn create(&self) {
        self.run(&format!(
            "initdb --data-checksums --auth-local=peer --auth-host=scram-sha-256 > /dev/null
             printf 'hostssl all all all scram-sha-256\\nhostssl replication all all scram-sha-256\\n' > $PGDATA/pg_hba.conf
             printf 'local all all peer\\n' >> $PGDATA/pg_hba.conf
             {}
             psql -qc \"create role app login replication password '{PASSWORD}'\" -c 'create database app owner app' postgres",
            started()
        ))
        .await;
    }

    /// A copy of another one, that follows it.
    async fn follow(&self, primary: &Server<'_>) {
        self.run(&format!(
            "PGPASSWORD={PASSWORD} PGCHANNELBINDING={BINDING} pg_basebackup -c fast -R -D $PGDATA -h {} -U app\n{}",
            primary.address,
            started()
        ))
        .await;
    }

    async fn until_it_has(&self, value: &str) {
        let script = format!("psql -qAtX -h {FOLDER} -c 'select value from kept' app");
        let has = || async {
            let values = self.run(&script).await;
            if values.lines().any(|line| line == value) { Ok(()) } else { Err(values) }
        };
        has.retry(POLICY).await.unwrap();
    }

    async fn promote(&self) {
        self.run("pg_ctl promote -w > /dev/null").await;
    }

    /// As if its node had gone.
    async fn stop(&self) {
        self.run("pg_ctl stop -m immediate > /dev/null").await;
        self.cluster.delete(&self.pod).await.unwrap();
    }

    /// As CloudNativePG says which one is the primary.
    async fn label(&self, site: &Site, role: &str) {
        let pods = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Pod"));
        let api: Api<Object> = Api::namespaced_with(site.client("infra").await, NAMESPACE, &pods);
        let patch = Patch::Merge(json!({"metadata": {"labels": {"cnpg.io/instanceRole": role}}}));
        api.patch(&self.pod.name, &PatchParams::default(), &patch).await.unwrap();
    }
}

/// Starts PostgreSQL.
fn started() -> String {
    format!(
        "pg_ctl start -w -l {FOLDER}/log -o \"-c listen_addresses=* -c unix_socket_directories={FOLDER} \
         -c dynamic_shared_memory_type=mmap -c ssl=on -c ssl_cert_file={FOLDER}/server.crt \
         -c ssl_key_file={FOLDER}/server.key\" > /dev/null 2>&1 || {{ cat {FOLDER}/log >&2; exit 1; }}
         export PGHOST={FOLDER}"
    )
}

/// A pod of the tenant.
struct Client<'a> {
    cluster: &'a Cluster,
    pod: ObjectRef,
    /// That of the Service, in the client's cluster.
    address: String,
    name: String,
    psql: String,
}

impl<'a> Client<'a> {
    async fn start(cluster: &'a Cluster, service: &ObjectRef, name: String, psql: String) -> Self {
        let pod = ObjectRef::namespaced("v1", "Pod", TENANT, "client");
        ready(cluster, &pod, &json!({"app": "client"}), Some(AUTHORITY)).await;
        let service = existing(cluster, service).await;
        let address = service.data["spec"]["clusterIP"].as_str().unwrap().to_owned();
        Self { cluster, pod, address, name, psql }
    }

    /// The answer, if who gives it shows a certificate for that name.
    async fn ask(&self, name: &str, query: &str) -> Result<String, String> {
        let connection = format!(
            "host={name} hostaddr={} port={PORT} user=app password={PASSWORD} dbname=app connect_timeout=3 channel_binding={BINDING} \
             sslmode=verify-full sslrootcert={MOUNTED}/ca.crt",
            self.address
        );
        let script = format!("{} -qAtX {} -c {}", self.psql, quoted(&connection), quoted(query));
        shell(self.cluster, &self.pod, &script).await
    }

    /// Asks until that is the answer.
    async fn until(&self, query: &str, answer: &str) {
        let asked = || async {
            let told = self.ask(&self.name, query).await?;
            if told == answer { Ok(()) } else { Err(told) }
        };
        if let Err(told) = asked.retry(POLICY).await {
            panic!("{query:?} is not answered with {answer:?}, but: {told}");
        }
    }

    async fn connects(&self, address: &str, port: u16) -> bool {
        let script = format!("timeout 3 bash -c '</dev/tcp/{address}/{port}'");
        shell(self.cluster, &self.pod, &script).await.is_ok()
    }
}

/// As one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
