//! Small trees of manifests, and the Kustomizations over them: every way that kustomize and Flux
//! change objects, and some that neither takes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

/// A tree, and the Kustomization that builds its folder `app`.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// By their way from the tree's root.
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) kustomization: Value,
}

/// That many, always the same.
pub(crate) fn cases(count: usize) -> Vec<Case> {
    let mut runner = TestRunner::deterministic();
    let throws = prop::collection::vec(any::<u16>(), 128);
    (0..count)
        .map(|number| {
            let throws = throws.new_tree(&mut runner).unwrap().current();
            case(format!("case-{number:03}"), Dice(throws.into_iter()))
        })
        .collect()
}

struct Dice(std::vec::IntoIter<u16>);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        usize::from(self.0.next().unwrap()) % sides
    }

    /// Once in so many throws.
    fn once_in(&mut self, sides: usize) -> bool {
        self.below(sides) == 0
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
}

fn text(object: &Value) -> String {
    format!("{object}\n")
}

/// A manifest; with variables in it.
fn manifest(kind: usize, name: &str, dice: &mut Dice) -> String {
    let labels = dice.one(&[
        json!(null),
        json!({"app": name}),
        json!({"app": name, "kustomize.toolkit.fluxcd.io/substitute": "disabled"}),
    ]);
    let value = dice.one(&[
        "plain",
        "${DOMAIN}",
        "a ${DOMAIN:=x} $$b",
        "${UNSET:-none}",
        "${LINES}",
        "${EMPTY}",
        "x: y",
        "${OWN}",
    ]);
    let mut metadata = json!({"name": name});
    if !labels.is_null() {
        metadata["labels"] = labels;
    }
    match kind {
        0 => text(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"key": value, "lines": "one\n  two\n"}})),
        1 => format!(
            "# a comment\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\n  annotations:\n    note: \"is {value}\"\nspec:\n  replicas: ${{REPLICAS:=1}}\n  selector:\n    matchLabels: {{app: x}}\n  template:\n    metadata:\n      labels: {{app: x}}\n    spec:\n      containers:\n        - name: main\n          image: example.org/main:1.0\n          args: [\"--x\", '{value}']\n          envFrom: [{{configMapRef: {{name: made}}}}]\n        - name: side\n          image: example.org/side@sha256:{}\n",
            "0".repeat(64)
        )
        .replace("${REPLICAS:=1}", dice.one(&["2", "${REPLICAS:=1}"])),
        2 => format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: own}}\nspec:\n  ports:\n  - port: 0080\n    name: \"8\"\n  selector: {{app: yes}}\n"
        )
        .replace("0080", dice.one(&["80", "8080"])).replace("yes", dice.one(&["x", "\"yes\""])),
        3 => format!("apiVersion: example.org/v1\nkind: Thing\nmetadata:\n  name: {name}\nspec:\n  host: {name}.${{DOMAIN}}\n  ratio: 1.50\n  big: 12345678901\n  none: null\n  empty: {{}}\n  when: \"2001-01-01\"\n"),
        4 => format!(
            "---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n---\n# nothing\n---\napiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\nstringData:\n  a: \"{value}\"\n"
        ),
        5 => text(&json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("{name}-1")}, "data": {"a": "b"}},
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": format!("{name}-2")}},
        ]})),
        6 => format!("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {{name: {name}}}\nroleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}}\nsubjects:\n- {{kind: ServiceAccount, name: default, namespace: own}}\n"),
        _ => format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  annotations: {{kustomize.toolkit.fluxcd.io/substitute: disabled}}\ndata:\n  script: |\n    echo ${{HOME}} $(date)\n    # {{{{ .x }}}}\n"),
    }
}

fn patches(dice: &mut Dice) -> Value {
    let merge = json!({"patch": "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: any\nspec:\n  template:\n    spec:\n      containers:\n      - name: main\n        env: [{name: A, value: \"${DOMAIN}\"}]\n", "target": {"kind": "Deployment"}});
    let replace = json!({"patch": "- op: add\n  path: /metadata/annotations\n  value: {patched: \"1\"}\n", "target": {"kind": dice.one(&["ConfigMap", "Service", "Deployment", "(Thing|Secret)"]), "name": ".*"}});
    let labelled = json!({"patch": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: any\n  annotations: {labelled: \"true\"}\n", "target": {"labelSelector": "app"}});
    let deleted = json!({"patch": "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: any\n$patch: delete\n", "target": {"kind": "Namespace"}});
    let of_one = json!({"patch": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m0\ndata: {patched: \"yes\"}\n"});
    let missing = json!({"patch": "- op: remove\n  path: /spec/nothing\n", "target": {"kind": "Service"}});
    let all = [merge.clone(), replace.clone(), labelled, deleted, merge, replace];
    let mut patches = vec![dice.one(&all)];
    if dice.once_in(3) {
        patches.push(dice.one(&all));
    }
    if dice.once_in(12) {
        patches.push(dice.one(&[of_one, missing]));
    }
    patches.into()
}

fn images(dice: &mut Dice) -> Value {
    let image = |name: &str, dice: &mut Dice| {
        let mut image = json!({"name": format!("example.org/{name}")});
        match dice.below(4) {
            0 => image["newTag"] = "2.0".into(),
            1 => image["digest"] = format!("sha256:{}", "1".repeat(64)).into(),
            2 => image["newName"] = "mirror.test/x".into(),
            _ => {
                image["newName"] = "mirror.test/y".into();
                image["newTag"] = "3".into();
            }
        }
        image
    };
    let mut images = vec![image("main", dice)];
    if dice.once_in(2) {
        images.push(image("side", dice));
    }
    images.into()
}

/// Fields of a folder's own kustomization.
fn own_fields(dice: &mut Dice, files: &mut BTreeMap<String, String>) -> Map<String, Value> {
    let mut own = Map::new();
    let mut maybe = |sides: usize, field: &str, value: &mut dyn FnMut(&mut Dice) -> Value| {
        if dice.once_in(sides) {
            let value = value(dice);
            own.insert(field.to_owned(), value);
        }
    };
    maybe(4, "namePrefix", &mut |_| json!("own-"));
    maybe(5, "nameSuffix", &mut |_| json!("-own"));
    maybe(4, "namespace", &mut |_| json!("of-own"));
    maybe(5, "labels", &mut |dice| json!([{"pairs": {"own": "label"}, "includeSelectors": dice.once_in(2)}]));
    maybe(8, "commonLabels", &mut |_| json!({"common": "label"}));
    maybe(6, "commonAnnotations", &mut |_| json!({"common": "annotation ${DOMAIN}"}));
    maybe(4, "images", &mut images);
    maybe(4, "patches", &mut patches);
    maybe(6, "replicas", &mut |_| json!([{"name": "m1", "count": 4}]));
    maybe(
        3,
        "configMapGenerator",
        &mut |dice| json!([{"name": "made", "literals": ["a=${DOMAIN}", "b=2"], "files": ["data.txt"], "options": {"disableNameSuffixHash": dice.once_in(2)}}]),
    );
    maybe(6, "secretGenerator", &mut |_| json!([{"name": "secret", "literals": ["a=b"]}]));
    maybe(8, "generatorOptions", &mut |_| json!({"labels": {"made": "true"}}));
    maybe(8, "sortOptions", &mut |dice| json!({"order": dice.one(&["fifo", "legacy"])}));
    maybe(5, "buildMetadata", &mut |dice| {
        dice.one(&[
            json!(["managedByLabel"]),
            json!(["originAnnotations"]),
            json!(["transformerAnnotations"]),
            json!(["originAnnotations", "managedByLabel"]),
        ])
    });
    maybe(10, "patchesStrategicMerge", &mut |_| {
        json!(["apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: m1}\nspec: {paused: true}\n"])
    });
    maybe(6, "components", &mut |_| json!(["../component"]));
    if own.contains_key("configMapGenerator") {
        files.insert("app/data.txt".to_owned(), "some ${DOMAIN}\ntext\n".to_owned());
    }
    own
}

fn flux_fields(dice: &mut Dice) -> Value {
    let mut spec = json!({});
    let mut maybe = |sides: usize, field: &str, value: &mut dyn FnMut(&mut Dice) -> Value| {
        if dice.once_in(sides) {
            spec[field] = value(dice);
        }
    };
    maybe(4, "targetNamespace", &mut |_| json!("of-flux"));
    maybe(5, "namePrefix", &mut |_| json!("flux-"));
    maybe(5, "nameSuffix", &mut |_| json!("-flux"));
    maybe(3, "patches", &mut patches);
    maybe(4, "images", &mut images);
    maybe(4, "components", &mut |dice| {
        dice.one(&[json!(["../component"]), json!(["../component"]), json!(["../gone"])])
    });
    maybe(5, "ignoreMissingComponents", &mut |_| json!(true));
    maybe(8, "buildMetadata", &mut |dice| {
        dice.one(&[json!(["originAnnotations"]), json!(["managedByLabel"])])
    });
    maybe(
        4,
        "commonMetadata",
        &mut |_| json!({"labels": {"flux": "label", "app": "flux"}, "annotations": {"flux": "annotation"}}),
    );
    maybe(2, "postBuild", &mut |dice| {
        dice.one(&[
            json!({"substituteFrom": [{"kind": "ConfigMap", "name": "cluster-settings"}], "substitute": {"OWN": "1"}}),
            json!({"substituteFrom": [{"kind": "ConfigMap", "name": "cluster-settings"}, {"kind": "ConfigMap", "name": "gone", "optional": true}], "substitute": {"DOMAIN": "over.test", "OWN": "true"}}),
            json!({"substitute": {"DOMAIN": "a: b", "OWN": "o", "LINES": "l", "EMPTY": ""}}),
            json!({"substituteStrategy": "Always", "substitute": {}}),
            json!({"substitute": {}}),
            json!({"substituteFrom": [{"kind": "ConfigMap", "name": "cluster-settings"}]}),
        ])
    });
    spec
}

fn case(name: String, mut dice: Dice) -> Case {
    let dice = &mut dice;
    let mut files = BTreeMap::new();
    let mut resources = Vec::new();
    for number in 0..=dice.below(3) {
        let kind = dice.below(8);
        let file =
            format!("{}m{number}.{}", dice.one(&["", "", "deep/"]), dice.one(&["yaml", "yaml", "yml"]));
        files.insert(format!("app/{file}"), manifest(kind, &format!("m{number}"), dice));
        resources.push(json!(file));
    }
    if dice.once_in(3) {
        // A folder with a kustomization of its own.
        let kustomization = json!({"resources": ["nested.yaml"], "namePrefix": dice.one(&["n-", ""]), "buildMetadata": ["managedByLabel"]});
        files.insert(
            format!("app/nested/{}", dice.one(&["kustomization.yaml", "kustomization.yml", "Kustomization"])),
            text(&kustomization),
        );
        let kind = dice.below(8);
        files.insert("app/nested/nested.yaml".to_owned(), manifest(kind, "nested", dice));
        files.insert("app/nested/values.yaml".to_owned(), "replicas: 2\n".to_owned());
        resources.push(json!("nested"));
    }
    files.insert("app/notes.txt".to_owned(), "no manifest".to_owned());
    files.insert(
        "component/kustomization.yaml".to_owned(),
        text(&json!({"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component", "commonAnnotations": {"component": "yes"}, "resources": ["extra.yaml"]})),
    );
    files.insert("component/extra.yaml".to_owned(), manifest(0, "extra", dice));
    if !dice.once_in(3) {
        if dice.once_in(4) {
            files.insert(
                "base/kustomization.yaml".to_owned(),
                text(&json!({"resources": ["base.yaml"], "labels": [{"pairs": {"base": "yes"}}]})),
            );
            let kind = dice.below(8);
            files.insert("base/base.yaml".to_owned(), manifest(kind, "base", dice));
            resources.push(json!("../base"));
        }
        let mut own = own_fields(dice, &mut files);
        if !dice.once_in(10) {
            own.insert("resources".to_owned(), resources.into());
        }
        if dice.once_in(2) {
            own.insert("apiVersion".to_owned(), "kustomize.config.k8s.io/v1beta1".into());
            own.insert("kind".to_owned(), "Kustomization".into());
        }
        files.insert(
            format!(
                "app/{}",
                dice.one(&["kustomization.yaml", "kustomization.yaml", "kustomization.yml", "Kustomization"])
            ),
            text(&own.into()),
        );
    }
    if dice.once_in(12) {
        // Something is wrong, or looks like it.
        let (file, content) = dice.one(&[
            ("app/values.yaml", "replicas: 2\n"),
            ("app/empty.yaml", ""),
            ("app/comment.yml", "# nothing\n"),
            ("app/broken.yaml", "a: [\n"),
            ("app/m0.yaml", "kind: ConfigMap\n"),
            ("app/kustomization.yaml", "resources: [gone.yaml]\n"),
            ("app/kustomization.yaml", ""),
            ("app/kustomization.yaml", "resources: [m0.yaml, m0.yaml]\n"),
            ("app/kustomization.yaml", "resources: [\n"),
            ("app/twice.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\n"),
        ]);
        files.insert(file.to_owned(), content.to_owned());
    }
    let mut spec = flux_fields(dice);
    for (field, value) in [
        ("interval", json!("1h")),
        ("prune", json!(true)),
        ("path", json!(format!("./cases/{name}/app"))),
        ("sourceRef", json!({"kind": "GitRepository", "name": "flux-system"})),
    ] {
        spec[field] = value;
    }
    let kustomization = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": name, "namespace": "flux-system"}, "spec": spec,
    });
    Case { name, files, kustomization }
}
