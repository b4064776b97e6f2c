//! Go templates as the Flux operator renders them in ResourceSets (flux-operator v0.59: `builder.newTemplate`):
//! `<< >>`, `inputs`, and functions of slim-sprig that depend only on their arguments. What cannot be evaluated
//! here is reported, never guessed.

mod budget;
mod eval;
mod functions;
mod parse;
mod text;

use serde_json::Value;

pub(super) use self::budget::Budget;
pub(super) use self::functions::adler32;

/// Why a template was not rendered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TemplateError {
    /// The operator rejects it too.
    Refused(String),
    /// It uses something that cannot be evaluated here.
    Unknown(String),
    /// It exceeds the size limit, or takes too long.
    Excessive,
}

/// Renders a template. `inputs` is null without inputs.
pub(super) fn render(template: &str, inputs: &Value, budget: &mut Budget) -> Result<String, TemplateError> {
    if !template.contains("<<") {
        budget.take(template.len())?;
        return Ok(template.to_owned());
    }
    let nodes = parse::parse(template)?;
    eval::render(&nodes, inputs, budget)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rendered(template: &str) -> Result<String, TemplateError> {
        let inputs = json!({
            "name": "web", "count": 3, "ratio": 0.5, "big": 12_345_678.0, "on": true, "none": null, "empty": "",
            "zones": ["a", "b"], "labels": {"b": "2", "a": "1"}, "apps": [{"name": "x"}, {"name": "y", "off": true}],
        });
        render(template, &inputs, &mut Budget::default())
    }

    #[test]
    fn templates_are_rendered_as_go_does() {
        let table = [
            ("plain", "plain"),
            ("<< inputs.name >>-x", "web-x"),
            ("<<inputs.name>>", "web"),
            ("a <<- inputs.name -> > >>", "a"),
            ("a\n  <<- inputs.name ->>\n b", "awebb"),
            ("<</* a comment */>>x", "x"),
            ("<<- /* a comment */ ->> x", "x"),
            (
                "<< inputs.count >> << inputs.ratio >> << inputs.big >> << inputs.on >>",
                "3 0.5 1.2345678e+07 true",
            ),
            ("<< inputs.zones >> << inputs.labels >>", "[a b] map[a:1 b:2]"),
            ("<< inputs.name | upper | quote >>", "\"WEB\""),
            ("<< quote inputs.count >> << squote inputs.name >>", "\"3\" 'web'"),
            ("<< if inputs.on >>yes<< else >>no<< end >>", "yes"),
            ("<< if eq inputs.name \"db\" >>1<< else if gt inputs.count 2 >>2<< else >>3<< end >>", "2"),
            ("<< range inputs.zones >><< . >>;<< end >>", "a;b;"),
            ("<< range $i, $zone := inputs.zones >><< $i >>=<< $zone >> << end >>", "0=a 1=b "),
            ("<< range $k, $v := inputs.labels >><< $k >><< $v >><< end >>", "a1b2"),
            ("<< range inputs.apps >><< .name >><< if hasKey . \"off\" >>-<< end >><< end >>", "xy-"),
            ("<< range list >>x<< else >>none<< end >>", "none"),
            ("<< with inputs.labels >><< .a >><< end >>", "1"),
            ("<< with inputs.empty >>x<< else >>y<< end >>", "y"),
            ("<< $n := inputs.name >><< $n >><< $n = \"b\" >><< $n >>", "webb"),
            ("<< inputs.empty | default \"d\" >> << default \"d\" inputs.name >>", "d web"),
            ("<< printf \"%s-%02d\" inputs.name inputs.count >>", "web-03"),
            ("<< (index inputs.apps 1).name >>", "y"),
            ("<< index inputs.labels \"b\" >>", "2"),
            ("<< add inputs.count 1 >> << sub 5 2 >> << mul 2 3 >> << div 7 2 >> << mod 7 2 >>", "4 3 6 3 1"),
            ("<< join \",\" inputs.zones >> << \"a,b\" | splitList \",\" | last >>", "a,b b"),
            (
                "<< inputs.name | trunc 2 >> << trimSuffix \"b\" inputs.name >> << replace \"e\" \"3\" inputs.name >>",
                "we we w3b",
            ),
            ("<< inputs.labels | toYaml | nindent 2 >>", "\n  a: \"1\"\n  b: \"2\"\n  "),
            ("<< inputs.labels | toJson >>", "{\"a\":\"1\",\"b\":\"2\"}"),
            (
                "<< ternary \"x\" \"y\" inputs.on >> << and inputs.on inputs.name >> << or inputs.empty \"z\" >> << not inputs.on >>",
                "x web z false",
            ),
            ("<< \"a.b/c\" | regexQuoteMeta >> << base \"a.b/c\" >>", "a\\.b/c c"),
            ("<< slugify \"Feature/One two\" >> << inputs.name | b64enc >>", "feature-one-two d2Vi"),
            ("<< inputs.none >>", "<no value>"),
            (
                "<< dict \"a\" 1 | toJson >> << len inputs.zones >> << has \"a\" inputs.zones >>",
                "{\"a\":1} 2 true",
            ),
        ];
        for (template, expected) in table {
            if template.contains("-> >") {
                assert!(rendered(template).is_err());
                continue;
            }
            assert_eq!(rendered(template).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn rejections_by_the_operator_and_unknown_results_are_distinguished() {
        for template in [
            "<< inputs.missing >>",
            "<< inputs.name",
            "<< if inputs.on >>",
            "<< end >>",
            "<< $x >>",
            "<< fail \"no\" >>",
            "<< inputs.name.x >>",
            "<< index inputs.zones 9 >>",
        ] {
            assert!(
                matches!(rendered(template), Err(TemplateError::Refused(_))),
                "{template}: {:?}",
                rendered(template)
            );
        }
        for template in [
            "<< regexMatch \"a\" inputs.name >>",
            "<< template \"x\" >>",
            "<< now >>",
            "<< typeOf inputs.name >>",
        ] {
            assert!(
                matches!(rendered(template), Err(TemplateError::Unknown(_))),
                "{template}: {:?}",
                rendered(template)
            );
        }
    }

    #[test]
    fn nothing_runs_for_ever_or_grows_without_end() {
        let ranges = "<< range until 1000 >>".repeat(6) + "x" + &"<< end >>".repeat(6);
        let doubling = "<< $a := \"xxxxxxxx\" >>".to_owned() + &"<< $a = cat $a $a >>".repeat(60);
        let lists = "<< $a := list 1 >>".to_owned() + &"<< $a = list $a $a >>".repeat(60);
        let deep = "<< ".to_owned() + &"(".repeat(5_000) + "1" + &")".repeat(5_000) + " >>";
        let blocks = "<< if true >>".repeat(5_000) + &"<< end >>".repeat(5_000);
        for template in [
            ranges.as_str(),
            &doubling,
            &lists,
            &deep,
            &blocks,
            "<< repeat 999999999 \"xxxx\" >>",
            "<< until 999999999 >>",
            "<< nindent 99999999 \"a\" >>",
            "<< printf \"%0999999999d\" 1 >>",
        ] {
            let shown: String = template.chars().take(60).collect();
            assert!(rendered(template).is_err(), "{shown}");
        }
    }
}
