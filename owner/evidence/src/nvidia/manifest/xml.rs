//! A small part of XML: elements with attributes, namespaces, and plain text, all in ASCII.
//!
//! Everything is refused that means something else than it says, or the same in several ways:
//! document types, entities and other references, comments, processing instructions, CDATA,
//! attributes of XML itself, white space in attributes that XML would normalise.

use std::rc::Rc;

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use super::ManifestError;

/// Largest document looked at; real ones have some 21 KiB.
pub(super) const MAX_BYTES: usize = 256 * 1024;
/// Most elements, and how deep.
const MAX_ELEMENTS: usize = 1024;
/// See [`MAX_ELEMENTS`].
const MAX_DEPTH: usize = 8;
/// Most attributes of an element.
const MAX_ATTRIBUTES: usize = 64;
/// Longest namespace.
const MAX_NAMESPACE_BYTES: usize = 256;

/// An element.
#[derive(Debug)]
pub(super) struct Element {
    pub(super) name: Name,
    /// The namespaces that it declares, by their prefixes; empty for the one of elements
    /// without a prefix.
    pub(super) declared: Vec<(String, Rc<str>)>,
    pub(super) attributes: Vec<(Name, String)>,
    pub(super) children: Vec<Node>,
}

/// What is in an element.
#[derive(Debug)]
pub(super) enum Node {
    Element(Element),
    Text(String),
}

/// The name of an element or an attribute (Namespaces in XML, section 4).
#[derive(Debug)]
pub(super) struct Name {
    /// Empty when there is none.
    pub(super) prefix: String,
    pub(super) local: String,
    /// What the prefix stands for; empty when it is in no namespace.
    pub(super) namespace: Rc<str>,
}

impl Name {
    pub(super) fn is(&self, namespace: &str, local: &str) -> bool {
        (&*self.namespace, self.local.as_str()) == (namespace, local)
    }
}

impl Element {
    /// The elements in it.
    pub(super) fn elements(&self) -> impl Iterator<Item = &Element> {
        self.children.iter().filter_map(|child| match child {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The value of an attribute.
    pub(super) fn attribute(&self, namespace: &str, local: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        let found = attributes.find(|(name, _)| name.is(namespace, local))?;
        Some(&found.1)
    }

    /// The text in it, when there is nothing else.
    pub(super) fn text(&self) -> Option<String> {
        let texts = self.children.iter().map(|child| match child {
            Node::Text(text) => Some(text.as_str()),
            Node::Element(_) => None,
        });
        texts.collect()
    }
}

/// Reads a document; gives its root.
pub(super) fn parse(document: &[u8]) -> Result<Element, ManifestError> {
    if document.len() > MAX_BYTES {
        return Err(ManifestError::TooLarge(document.len()));
    }
    let is_plain = |byte: &u8| matches!(byte, b'\n' | b'\t' | 0x20..=0x7e);
    if !document.iter().all(is_plain) {
        return Err(wrong("characters beyond ASCII"));
    }
    let text = str::from_utf8(document).map_err(|_| wrong("characters beyond ASCII"))?;
    let mut reader = Reader::from_str(without_declaration(text)?);
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    let mut count = 0;
    loop {
        let event = reader
            .read_event()
            .map_err(|_| wrong("it cannot be read"))?;
        let closed = match event {
            Event::Start(tag) => {
                open.push(element(&tag, &open)?);
                None
            }
            Event::Empty(tag) => Some(element(&tag, &open)?),
            Event::End(_) => Some(open.pop().ok_or_else(|| wrong("it cannot be read"))?),
            Event::Text(text) => {
                add_text(open.last_mut(), &text)?;
                None
            }
            Event::Eof => break,
            Event::DocType(_) => return Err(wrong("a document type")),
            Event::GeneralRef(_) => return Err(wrong("a reference")),
            Event::Comment(_) => return Err(wrong("a comment")),
            Event::PI(_) | Event::Decl(_) => return Err(wrong("an instruction")),
            Event::CData(_) => return Err(wrong("a CDATA section")),
        };
        if open.len() > MAX_DEPTH {
            return Err(wrong("elements too deep"));
        }
        let Some(closed) = closed else { continue };
        count += 1;
        if count > MAX_ELEMENTS {
            return Err(wrong("too many elements"));
        }
        match open.last_mut() {
            Some(parent) => parent.children.push(Node::Element(closed)),
            None if root.is_some() => return Err(wrong("more than one root")),
            None => root = Some(closed),
        }
    }
    root.filter(|_| open.is_empty())
        .ok_or_else(|| wrong("it ends too early"))
}

fn wrong(what: &'static str) -> ManifestError {
    ManifestError::Xml(what)
}

/// What follows the XML declaration, if there is one.
fn without_declaration(text: &str) -> Result<&str, ManifestError> {
    let Some(rest) = text.strip_prefix("<?xml ") else {
        return Ok(text);
    };
    let (declaration, rest) = rest
        .split_once("?>")
        .ok_or_else(|| wrong("it cannot be read"))?;
    let declaration = declaration.replace('\'', "\"").to_ascii_lowercase();
    match declaration.trim() {
        r#"version="1.0""# | r#"version="1.0" encoding="utf-8""# => Ok(rest),
        _ => Err(wrong("another version or encoding")),
    }
}

/// White space between elements is kept, since it is signed.
fn add_text(parent: Option<&mut Element>, text: &str) -> Result<(), ManifestError> {
    if text.contains(['&', '<', '>']) {
        return Err(wrong("a reference"));
    }
    match parent {
        Some(parent) => parent.children.push(Node::Text(text.to_owned())),
        None if text.trim_ascii().is_empty() => {}
        None => return Err(wrong("text outside of the root")),
    }
    Ok(())
}

fn element(tag: &BytesStart<'_>, open: &[Element]) -> Result<Element, ManifestError> {
    let mut declared: Vec<(String, Rc<str>)> = Vec::new();
    let mut attributes = Vec::new();
    for (count, attribute) in tag.attributes().enumerate() {
        if count == MAX_ATTRIBUTES {
            return Err(wrong("too many attributes"));
        }
        let attribute = attribute.map_err(|_| wrong("an attribute cannot be read"))?;
        let value = attribute.value;
        if value.contains(['&', '<', '"', '\n', '\t']) {
            return Err(wrong("an attribute that is not plain"));
        }
        match split(attribute.key.0)? {
            ("", "xmlns") => declared.push((String::new(), namespace(&value)?)),
            ("xmlns", prefix) => declared.push((prefix.to_owned(), namespace(&value)?)),
            (prefix, local) => {
                attributes.push((prefix.to_owned(), local.to_owned(), value.into_owned()));
            }
        }
    }
    let find = |prefix: &str| {
        let scopes = open.iter().map(|element| &element.declared);
        let mut scopes = scopes.chain([&declared]).rev();
        scopes.find_map(|scope| scope.iter().find(|(one, _)| one == prefix))
    };
    let resolve = |prefix: &str, local: &str, is_attribute: bool| {
        let namespace = match find(prefix) {
            // An attribute without a prefix is in no namespace.
            _ if prefix.is_empty() && is_attribute => Rc::from(""),
            Some((_, namespace)) => Rc::clone(namespace),
            None if prefix.is_empty() => Rc::from(""),
            None => return Err(wrong("a prefix that is not declared")),
        };
        Ok(Name {
            prefix: prefix.to_owned(),
            local: local.to_owned(),
            namespace,
        })
    };
    let tag_name = tag.name();
    let (prefix, local) = split(tag_name.0)?;
    let name = resolve(prefix, local, false)?;
    let mut resolved: Vec<(Name, String)> = Vec::new();
    for (prefix, local, value) in attributes {
        let name = resolve(&prefix, &local, true)?;
        if resolved
            .iter()
            .any(|(one, _)| one.is(&name.namespace, &name.local))
        {
            return Err(wrong("an attribute twice"));
        }
        resolved.push((name, value));
    }
    Ok(Element {
        name,
        declared,
        attributes: resolved,
        children: Vec::new(),
    })
}

/// The namespace that is declared; to take one back is not for manifests.
fn namespace(value: &str) -> Result<Rc<str>, ManifestError> {
    match value.len() {
        1..=MAX_NAMESPACE_BYTES => Ok(Rc::from(value)),
        _ => Err(wrong("a namespace that is empty or too long")),
    }
}

/// A name's prefix and the rest, both of letters, digits, `-`, `.` and `_`.
fn split(name: &str) -> Result<(&str, &str), ManifestError> {
    let (prefix, local) = match name.split_once(':') {
        Some((prefix, local)) => (Some(prefix), local),
        None => (None, name),
    };
    let is_name = |part: &str| {
        let mut bytes = part.bytes();
        let begins = bytes.next();
        begins.is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    };
    if !is_name(local) || !prefix.is_none_or(is_name) {
        return Err(wrong("a name that is not plain"));
    }
    // The prefix `xml`, and those that a later version may give a meaning.
    let reserved = |part: &str| {
        let start = part.get(..3);
        start.is_some_and(|start| start.eq_ignore_ascii_case("xml"))
    };
    match (prefix, local) {
        (None, "xmlns") => Ok(("", local)),
        (Some("xmlns"), prefix) if !reserved(prefix) => Ok(("xmlns", prefix)),
        _ if reserved(prefix.unwrap_or(local)) => Err(wrong("a name that belongs to XML")),
        _ => Ok((prefix.unwrap_or_default(), local)),
    }
}
