//! The parser of Go templates with `<< >>`: texts, actions, `if`, `range`, `with` and pipelines.

// It slices at ASCII characters that it has found.
#![allow(clippy::string_slice)]

use serde_json::Value;

use super::TemplateError;

/// The nesting limit of blocks and parentheses.
const DEEPEST: usize = 40;

/// One part of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Text(String),
    Action(Pipeline),
    /// Each condition with its body; `else` has none.
    If(Vec<(Option<Pipeline>, Vec<Node>)>),
    Range(Pipeline, Vec<Node>, Vec<Node>),
    With(Pipeline, Vec<Node>, Vec<Node>),
}

/// Commands, each with the result of the previous one as its last argument.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pipeline {
    /// The variables that it sets.
    pub(super) variables: Vec<String>,
    /// Whether they are declared (`:=`), or assigned.
    pub(super) declares: bool,
    pub(super) commands: Vec<Vec<Operand>>,
}

/// One operand of a command.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    Dot,
    Literal(Value),
    Variable(String),
    Function(String),
    Pipeline(Box<Pipeline>),
    /// Fields of another one: `inputs.a.b`.
    Chain(Box<Operand>, Vec<String>),
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    /// `.a`
    Field(String),
    Dot,
    Variable(String),
    Literal(Value),
    /// `|`, `(`, `)`, `,`, `=`, `:=`
    Sign(&'static str),
    Space,
}

#[derive(Debug)]
enum Piece {
    Text(String),
    Action(Vec<Token>),
}

/// Parses a template.
pub(super) fn parse(text: &str) -> Result<Vec<Node>, TemplateError> {
    let pieces = pieces(text)?;
    let mut parser = Parser { pieces: pieces.into_iter(), depth: 0 };
    let (nodes, end) = parser.block()?;
    match end {
        End::Text => Ok(nodes),
        End::Block | End::Else(_) => Err(refused("`end` or `else` outside of a block")),
    }
}

fn refused(why: impl Into<String>) -> TemplateError {
    TemplateError::Refused(why.into())
}

/// Splits a template into texts and the tokens of actions.
fn pieces(text: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut trims = false;
    while let Some((before, after)) = rest.split_once("<<") {
        let (left, after) = match after.strip_prefix('-') {
            Some(inner) if inner.starts_with(char::is_whitespace) => (true, inner),
            _ => (false, after),
        };
        push_text(&mut pieces, before, trims, left);
        let (tokens, behind, right) = action(after)?;
        pieces.push(Piece::Action(tokens));
        (rest, trims) = (behind, right);
    }
    push_text(&mut pieces, rest, trims, false);
    Ok(pieces)
}

fn push_text(pieces: &mut Vec<Piece>, text: &str, trim_start: bool, trim_end: bool) {
    let is_space = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
    let text = if trim_start { text.trim_start_matches(is_space) } else { text };
    let text = if trim_end { text.trim_end_matches(is_space) } else { text };
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
}

/// The tokens of an action, the rest of the text, and whether it trims the space there.
fn action(text: &str) -> Result<(Vec<Token>, &str, bool), TemplateError> {
    let mut rest = text;
    let comment = rest.trim_start();
    if let Some(inside) = comment.strip_prefix("/*") {
        let (_, behind) = inside.split_once("*/").ok_or_else(|| refused("a comment has no end"))?;
        let trims = behind.starts_with(char::is_whitespace) && behind.trim_start().starts_with("->>");
        let behind = behind.trim_start().trim_start_matches('-');
        let behind = behind.strip_prefix(">>").ok_or_else(|| refused("a comment ends before its action"))?;
        return Ok((Vec::new(), behind, trims));
    }
    let mut tokens = Vec::new();
    loop {
        if let Some(behind) = rest.strip_prefix(">>") {
            return Ok((tokens, behind, false));
        }
        let Some(first) = rest.chars().next() else { return Err(refused("an action has no `>>`")) };
        if first.is_whitespace() {
            rest = rest.trim_start();
            if let Some(behind) = rest.strip_prefix("->>") {
                return Ok((tokens, behind, true));
            }
            tokens.push(Token::Space);
            continue;
        }
        let (token, behind) = token(rest, first)?;
        tokens.push(token);
        rest = behind;
    }
}

fn token(rest: &str, first: char) -> Result<(Token, &str), TemplateError> {
    for sign in [":=", "|", "(", ")", ",", "="] {
        if let Some(behind) = rest.strip_prefix(sign) {
            return Ok((Token::Sign(sign), behind));
        }
    }
    match first {
        '"' => quoted(rest),
        '`' => {
            let (inside, behind) =
                rest[1..].split_once('`').ok_or_else(|| refused("a text in backquotes has no end"))?;
            Ok((Token::Literal(inside.into()), behind))
        }
        '.' => {
            let (name, behind) = word(&rest[1..]);
            if name.is_empty() {
                return Ok((Token::Dot, behind));
            }
            Ok((Token::Field(name.to_owned()), behind))
        }
        '$' => {
            let (name, behind) = word(&rest[1..]);
            Ok((Token::Variable(name.to_owned()), behind))
        }
        '0'..='9' | '-' | '+' => number(rest),
        first if first.is_alphabetic() || first == '_' => {
            let (name, behind) = word(rest);
            let literal = match name {
                "true" => Some(Value::Bool(true)),
                "false" => Some(Value::Bool(false)),
                "nil" => Some(Value::Null),
                _ => None,
            };
            Ok((literal.map_or_else(|| Token::Word(name.to_owned()), Token::Literal), behind))
        }
        other => Err(refused(format!("unexpected `{other}` in an action"))),
    }
}

fn word(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    text.split_at(end)
}

fn number(rest: &str) -> Result<(Token, &str), TemplateError> {
    let is_part = |(at, c): (usize, char)| {
        c.is_ascii_alphanumeric() || c == '.' || c == '_' || (at == 0 && "+-".contains(c))
    };
    let end = rest.char_indices().find(|one| !is_part(*one)).map_or(rest.len(), |(at, _)| at);
    let (text, behind) = rest.split_at(end);
    let plain = text.trim_start_matches('+');
    if let Ok(number) = plain.parse::<i64>() {
        return Ok((Token::Literal(number.into()), behind));
    }
    let is_decimal = plain.bytes().all(|b| b.is_ascii_digit() || b".-".contains(&b));
    match plain.parse::<f64>() {
        Ok(number) if is_decimal => Ok((Token::Literal(number.into()), behind)),
        _ => Err(TemplateError::Unknown(format!("the number `{text}`"))),
    }
}

fn quoted(rest: &str) -> Result<(Token, &str), TemplateError> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((Token::Literal(text.into()), &rest[at + 1..])),
            '\n' => break,
            '\\' => match chars.next().map(|(_, c)| c) {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('r') => text.push('\r'),
                Some(c @ ('"' | '\\' | '\'')) => text.push(c),
                other => {
                    return Err(TemplateError::Unknown(format!("the escape `\\{}`", other.unwrap_or(' '))));
                }
            },
            c => text.push(c),
        }
    }
    Err(refused("a text in quotes has no end"))
}

/// The end of a block.
enum End {
    /// The end of the text.
    Text,
    /// `end`
    Block,
    /// `else`, and the tokens after it.
    Else(Vec<Token>),
}

struct Parser {
    pieces: std::vec::IntoIter<Piece>,
    depth: usize,
}

impl Parser {
    fn block(&mut self) -> Result<(Vec<Node>, End), TemplateError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(refused(format!("blocks stand more than {DEEPEST} deep in each other")));
        }
        let mut nodes = Vec::new();
        let end = loop {
            match self.pieces.next() {
                None => break End::Text,
                Some(Piece::Text(text)) => nodes.push(Node::Text(text)),
                Some(Piece::Action(tokens)) => {
                    let tokens = trimmed(tokens);
                    let Some(first) = tokens.first() else { continue };
                    let word = if let Token::Word(word) = first { word.as_str() } else { "" };
                    let rest = || trimmed(tokens[1..].to_vec());
                    match word {
                        "end" => break End::Block,
                        "else" => break End::Else(rest()),
                        "if" => nodes.push(self.conditions(&rest())?),
                        "range" => {
                            let (pipeline, body, other) = self.body(&rest())?;
                            nodes.push(Node::Range(pipeline, body, other));
                        }
                        "with" => {
                            let (pipeline, body, other) = self.body(&rest())?;
                            nodes.push(Node::With(pipeline, body, other));
                        }
                        "define" | "template" | "block" | "break" | "continue" => {
                            return Err(TemplateError::Unknown(format!("`{word}`")));
                        }
                        _ => nodes.push(Node::Action(pipeline(&tokens, 0)?)),
                    }
                }
            }
        };
        self.depth -= 1;
        Ok((nodes, end))
    }

    fn conditions(&mut self, first: &[Token]) -> Result<Node, TemplateError> {
        let mut branches = Vec::new();
        let mut condition = Some(pipeline(first, 0)?);
        loop {
            let (body, end) = self.block()?;
            let is_last = condition.is_none();
            branches.push((condition.take(), body));
            match end {
                End::Block => return Ok(Node::If(branches)),
                End::Else(rest) if !is_last => {
                    condition = match rest.first() {
                        None => None,
                        Some(Token::Word(word)) if word == "if" => Some(pipeline(&rest[1..], 0)?),
                        Some(_) => return Err(refused("`else` is followed by what is no `if`")),
                    };
                }
                End::Else(_) => return Err(refused("a block has two `else`")),
                End::Text => return Err(refused("a block has no `end`")),
            }
        }
    }

    fn body(&mut self, first: &[Token]) -> Result<(Pipeline, Vec<Node>, Vec<Node>), TemplateError> {
        let pipeline = pipeline(first, 0)?;
        let (body, end) = self.block()?;
        let other = match end {
            End::Block => Vec::new(),
            End::Text => return Err(refused("a block has no `end`")),
            End::Else(rest) if rest.is_empty() => match self.block()? {
                (other, End::Block) => other,
                _ => return Err(refused("a block has no `end`")),
            },
            End::Else(_) => return Err(TemplateError::Unknown("`else with`".to_owned())),
        };
        Ok((pipeline, body, other))
    }
}

fn trimmed(mut tokens: Vec<Token>) -> Vec<Token> {
    while tokens.last() == Some(&Token::Space) {
        tokens.pop();
    }
    let start = tokens.iter().take_while(|token| **token == Token::Space).count();
    tokens.split_off(start)
}

/// Parses a pipeline that consists of all of these tokens.
fn pipeline(tokens: &[Token], depth: usize) -> Result<Pipeline, TemplateError> {
    if depth > DEEPEST {
        return Err(refused(format!("parentheses stand more than {DEEPEST} deep in each other")));
    }
    let (variables, declares, rest) = declarations(tokens)?;
    let mut commands = vec![Vec::new()];
    let mut at = 0;
    while let Some(token) = rest.get(at) {
        at += 1;
        let operand = match token {
            Token::Space => continue,
            Token::Sign("|") => {
                commands.push(Vec::new());
                continue;
            }
            Token::Sign("(") => {
                let end = closing(&rest[at..]).ok_or_else(|| refused("a parenthesis is not closed"))?;
                let inner = pipeline(&rest[at..at + end], depth + 1)?;
                at += end + 1;
                Operand::Pipeline(Box::new(inner))
            }
            Token::Sign(sign) => return Err(refused(format!("unexpected `{sign}` in an action"))),
            Token::Dot => Operand::Dot,
            Token::Literal(value) => Operand::Literal(value.clone()),
            Token::Variable(name) => Operand::Variable(name.clone()),
            Token::Word(name) => Operand::Function(name.clone()),
            Token::Field(name) => Operand::Chain(Box::new(Operand::Dot), vec![name.clone()]),
        };
        let mut fields = Vec::new();
        while let Some(Token::Field(name)) = rest.get(at) {
            fields.push(name.clone());
            at += 1;
        }
        let operand = match operand {
            operand if fields.is_empty() => operand,
            Operand::Chain(of, mut first) => {
                first.extend(fields);
                Operand::Chain(of, first)
            }
            operand => Operand::Chain(Box::new(operand), fields),
        };
        if let Some(command) = commands.last_mut() {
            command.push(operand);
        }
    }
    if commands.iter().any(Vec::is_empty) {
        return Err(refused("an action is empty"));
    }
    Ok(Pipeline { variables, declares, commands })
}

/// `$a := `, `$i, $a := `, `$a = `; and the rest.
fn declarations(tokens: &[Token]) -> Result<(Vec<String>, bool, &[Token]), TemplateError> {
    let sign = tokens.iter().position(|token| matches!(token, Token::Sign(":=" | "=")));
    let Some(sign) = sign else { return Ok((Vec::new(), false, tokens)) };
    let mut names = Vec::new();
    for token in &tokens[..sign] {
        match token {
            Token::Variable(name) if !name.is_empty() => names.push(name.clone()),
            Token::Space | Token::Sign(",") => {}
            _ => return Err(refused("only a variable can be set")),
        }
    }
    if names.is_empty() || names.len() > 2 {
        return Err(refused("one or two variables can be set"));
    }
    Ok((names, tokens[sign] == Token::Sign(":="), &tokens[sign + 1..]))
}

fn closing(tokens: &[Token]) -> Option<usize> {
    let mut open = 1_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Sign("(") => open += 1,
            Token::Sign(")") => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(at);
        }
    }
    None
}
