//! Canonical XML 1.1, for what [`xml`](super::xml) reads: there is nothing in it that would
//! have to be escaped, expanded, or left out.

use std::rc::Rc;

use super::xml::{Element, Node};

/// The canonical form of an element that is inside of `ancestors`, outermost first, whose
/// namespaces it carries with it.
pub(super) fn canonical(element: &Element, ancestors: &[&Element]) -> String {
    let mut in_scope: Vec<(&str, &Rc<str>)> = Vec::new();
    for ancestor in ancestors {
        declare(&mut in_scope, ancestor);
    }
    let mut text = String::new();
    // Nothing above it is written, so all that is in scope must be.
    write(&mut text, element, &in_scope, &[]);
    text
}

/// Adds the namespaces that an element declares to those in scope, in place of others with the
/// same prefix.
fn declare<'a>(in_scope: &mut Vec<(&'a str, &'a Rc<str>)>, element: &'a Element) {
    for (prefix, namespace) in &element.declared {
        in_scope.retain(|(one, _)| *one != prefix.as_str());
        in_scope.push((prefix, namespace));
    }
}

/// Canonical XML 1.1, section 2.3: `in_scope` are the namespaces around the element, `written`
/// those that its parent was written with.
fn write(
    text: &mut String,
    element: &Element,
    in_scope: &[(&str, &Rc<str>)],
    written: &[(&str, &Rc<str>)],
) {
    let mut own = in_scope.to_vec();
    declare(&mut own, element);
    own.sort_unstable();
    let name = qualified(&element.name.prefix, &element.name.local);
    text.push('<');
    text.push_str(&name);
    for (prefix, namespace) in own.iter().filter(|one| !written.contains(one)) {
        let name = match *prefix {
            "" => "xmlns".to_owned(),
            prefix => qualified("xmlns", prefix),
        };
        push_attribute(text, &name, namespace);
    }
    let mut attributes: Vec<_> = element.attributes.iter().collect();
    attributes.sort_unstable_by_key(|(name, _)| (&*name.namespace, name.local.as_str()));
    for (name, value) in attributes {
        push_attribute(text, &qualified(&name.prefix, &name.local), value);
    }
    text.push('>');
    for child in &element.children {
        match child {
            Node::Element(child) => write(text, child, &own, &own),
            Node::Text(plain) => text.push_str(plain),
        }
    }
    text.push_str("</");
    text.push_str(&name);
    text.push('>');
}

fn qualified(prefix: &str, local: &str) -> String {
    match prefix {
        "" => local.to_owned(),
        prefix => [prefix, ":", local].concat(),
    }
}

fn push_attribute(text: &mut String, name: &str, value: &str) {
    for part in [" ", name, "=\"", value, "\""] {
        text.push_str(part);
    }
}
