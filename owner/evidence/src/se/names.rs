//! The names in IBM's certificates.

use x509_cert::{der::asn1::ObjectIdentifier, name::Name};

const IBM: &[u8] = b"International Business Machines Corporation";
/// The two places that IBM's certificates and lists use for each other.
const PLACES: [&[u8]; 2] = [b"Poughkeepsie", b"Armonk"];
/// How the unit of a signing key's subject ends.
const SIGNING_SERVICE: &[u8] = b"Key Signing Service";

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const COUNTRY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.6");
const LOCALITY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.7");
const STATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.8");
const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
const UNIT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.11");

/// Whether a certificate with this subject is of a key that signs host key documents.
pub(super) fn is_signing_key(subject: &Name) -> bool {
    let only = |id, wanted: &dyn Fn(&[u8]) -> bool| {
        let mut found = subject.iter().filter(|attribute| attribute.oid == id);
        let first = found.next();
        first.is_some_and(|attribute| wanted(attribute.value.value())) && found.next().is_none()
    };
    subject.iter().count() == 6
        && only(COUNTRY, &|value| value == b"US")
        && only(STATE, &|value| value == b"New York")
        && only(LOCALITY, &|value| PLACES.contains(&value))
        && only(ORGANIZATION, &|value| value == IBM)
        && only(COMMON_NAME, &|value| value == IBM)
        && only(UNIT, &|value| value.ends_with(SIGNING_SERVICE))
}

/// Whether the organization is IBM.
pub(super) fn is_of_ibm(subject: &Name) -> bool {
    let mut attributes = subject.iter();
    attributes.any(|attribute| attribute.oid == ORGANIZATION && attribute.value.value() == IBM)
}

/// Whether both are the same but for the order of their attributes, which IBM's certificates
/// and lists do not agree upon, and for which of the two places is in them.
pub(super) fn are_alike(one: &Name, other: &Name) -> bool {
    let sorted = |name: &Name| {
        let attributes = name.iter().map(|attribute| {
            let value = attribute.value.value();
            let place = attribute.oid == LOCALITY && PLACES.contains(&value);
            (
                attribute.oid,
                if place { PLACES[0] } else { value }.to_vec(),
            )
        });
        let mut attributes: Vec<_> = attributes.collect();
        attributes.sort_unstable();
        attributes
    };
    sorted(one) == sorted(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    const SIGNING: &str = "C=US,ST=New York,L=Poughkeepsie,\
        O=International Business Machines Corporation,\
        CN=International Business Machines Corporation,OU=IBM Z Host Key Signing Service";

    #[test]
    fn a_signing_key_is_known_by_all_of_its_subject() {
        assert!(is_signing_key(&name(SIGNING)));
        assert!(is_signing_key(&name(
            &SIGNING.replace("Poughkeepsie", "Armonk")
        )));
        for (part, other) in [
            ("C=US", "C=DE"),
            ("New York", "Ohio"),
            ("Poughkeepsie", "Boeblingen"),
            ("O=International", "O=Internal"),
            ("CN=International", "CN=Internal"),
            ("Signing Service", "Signing Service Invalid"),
            ("C=US,", ""),
            ("C=US", "C=US,C=US"),
            ("ST=New York", "C=US"),
        ] {
            let other = name(&SIGNING.replace(part, other));
            assert!(!is_signing_key(&other), "{other}");
        }
    }

    #[test]
    fn order_and_place_make_no_difference() {
        let signing = name(SIGNING);
        let mut parts: Vec<_> = SIGNING.split(',').map(str::trim).collect();
        parts.reverse();
        let reordered = name(&parts.join(",").replace("Poughkeepsie", "Armonk"));
        assert!(are_alike(&signing, &reordered));
        for (part, other) in [
            ("Poughkeepsie", "Boeblingen"),
            ("C=US,", ""),
            ("Host Key", "Other"),
            ("L=Poughkeepsie", "ST=Poughkeepsie"),
        ] {
            let other = name(&SIGNING.replace(part, other));
            assert!(!are_alike(&signing, &other), "{other}");
        }
    }
}
