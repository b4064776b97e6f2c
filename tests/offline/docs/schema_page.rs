//! A JSON Schema as a Markdown page: a table of fields for each type.

use serde_json::{Map, Value};

use super::markdown::{cell, code, paragraph, table};

const ANCHOR: &str = "#/$defs/";

/// The page's sections: the file itself, then each type that it references.
pub(super) fn sections(schema: &Value, file: &str) -> String {
    let mut page = format!("## {file}\n\n{}", of_type(schema));
    for (name, definition) in schema["$defs"].as_object().into_iter().flatten() {
        page += &format!("## {name}\n\n{}", of_type(definition));
    }
    page
}

fn of_type(schema: &Value) -> String {
    let described = schema["description"].as_str().map(paragraph).unwrap_or_default();
    format!("{described}{}{}", fields(schema), alternatives(schema))
}

fn fields(schema: &Value) -> String {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema["properties"].as_object().into_iter().flatten();
    let rows = properties.map(|(name, property)| {
        let need = if required.contains(&name.as_str()) { " (required)" } else { "" };
        vec![format!("{}{need}", code(name)), kind(property), cell(described(property))]
    });
    table(&["field", "value", "meaning"], &rows.collect::<Vec<_>>())
}

fn described(schema: &Value) -> &str {
    schema["description"].as_str().unwrap_or_default()
}

/// The forms of a type that has several.
fn alternatives(schema: &Value) -> String {
    if let Some(values) = schema["enum"].as_array() {
        return format!("One of {}.\n\n", values.iter().map(value).collect::<Vec<_>>().join(", "));
    }
    let forms: Vec<&Value> =
        ["oneOf", "anyOf"].iter().filter_map(|key| schema[*key].as_array()).flatten().collect();
    if forms.is_empty() {
        let is_plain = schema.get("properties").is_none() && schema.get("type").is_some();
        return if is_plain { format!("{}.\n\n", kind(schema)) } else { String::new() };
    }
    let rows = forms.iter().map(|form| vec![kind(form), cell(described(form))]).collect::<Vec<_>>();
    let of_fields =
        forms.iter().filter(|form| form["properties"].as_object().is_some_and(|own| own.len() > 1));
    let details: String =
        of_fields.map(|form| format!("{}{}", paragraph(described(form)), fields(form))).collect();
    format!("{}{details}", table(&["form", "meaning"], &rows))
}

/// What a value is, in a few words.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|link| link.strip_prefix(ANCHOR)) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(constant) = schema.get("const") {
        return value(constant);
    }
    if let Some(values) = schema["enum"].as_array() {
        return values.iter().map(value).collect::<Vec<_>>().join(", ");
    }
    let forms: Vec<&Value> =
        ["oneOf", "anyOf"].iter().filter_map(|key| schema[*key].as_array()).flatten().collect();
    if !forms.is_empty() {
        let present = forms.into_iter().filter(|form| form["type"] != "null");
        return present.map(kind).collect::<Vec<_>>().join(" or ");
    }
    let name = match &schema["type"] {
        Value::Array(names) => names.iter().filter_map(Value::as_str).find(|name| *name != "null"),
        name => name.as_str(),
    };
    match name {
        Some("array") => format!("list of {}", kind(&schema["items"])),
        Some("object") => object(schema),
        Some(name) => name.to_owned(),
        None => "any".to_owned(),
    }
}

fn object(schema: &Value) -> String {
    let pair = |(name, property): (&String, &Value)| format!("`{name}:` {}", kind(property));
    let own: Option<&Map<String, Value>> = schema["properties"].as_object();
    match own {
        Some(own) if own.len() == 1 => own.iter().map(pair).collect(),
        Some(own) => own.keys().map(|name| code(name)).collect::<Vec<_>>().join(", "),
        None if schema["additionalProperties"].is_object() => {
            format!("map of {}", kind(&schema["additionalProperties"]))
        }
        None => "object".to_owned(),
    }
}

fn value(constant: &Value) -> String {
    code(&constant.as_str().map_or_else(|| constant.to_string(), str::to_owned))
}
