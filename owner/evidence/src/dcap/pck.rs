//! What a PCK certificate says about its platform.

use x509_cert::der::{
    self, Decode, Reader, SliceReader, Tag, Tagged as _,
    asn1::{AnyRef, ObjectIdentifier, OctetStringRef},
};

use super::Error;

/// The SGX extension (*SGX PCK Certificate and CRL Profile*, section 1.3.5).
pub(super) const SGX_EXTENSION: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1");
const PPID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1.1");
const TCB: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1.2");
const PCE_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1.3");
const FMSPC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1.4");
const SGX_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1.5");
const PLATFORM_INSTANCE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1.6");
const CONFIGURATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1.7");
/// Number of the last arc below [`TCB`] that is the PCE's SVN; 1 to 16 are components.
const PCE_SVN: u32 = 17;

/// A platform, as Intel certified it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// Identity of the platform's provisioning key (PPID).
    pub ppid: [u8; 16],
    /// Family, model, stepping, platform type, and custom SKU.
    pub fmspc: [u8; 6],
    /// Identity of the provisioning certification enclave.
    pub pce_id: [u8; 2],
    /// SVNs of the 16 TCB components.
    pub components: [u8; 16],
    /// SVN of the provisioning certification enclave.
    pub pce_svn: u16,
    /// How memory is protected.
    pub sgx_type: SgxType,
    /// Identity of the platform with its present set of processors; told of platforms
    /// with several processors only, as are the following.
    pub instance: Option<[u8; 16]>,
    /// Whether processors can be added.
    pub dynamic: Option<bool>,
    /// Whether the platform's root keys are cached by Intel.
    pub cached_keys: Option<bool>,
    /// Whether simultaneous multithreading is enabled.
    pub smt_enabled: Option<bool>,
}

/// How a platform protects memory (*SGX PCK Certificate and CRL Profile*, `SGX Type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SgxType {
    /// Encrypted, with integrity and freshness.
    Standard,
    /// Encrypted, with neither.
    Scalable,
    /// Encrypted, with integrity.
    ScalableWithIntegrity,
}

impl SgxType {
    /// The type in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Scalable => "scalable",
            Self::ScalableWithIntegrity => "scalable with integrity",
        }
    }

    fn read(value: AnyRef<'_>) -> Result<Self, Error> {
        // ENUMERATED, of which these three values are defined.
        match (value.tag(), value.value()) {
            (Tag::Enumerated, [0]) => Ok(Self::Standard),
            (Tag::Enumerated, [1]) => Ok(Self::Scalable),
            (Tag::Enumerated, [2]) => Ok(Self::ScalableWithIntegrity),
            _ => Err(Error::SgxExtension),
        }
    }
}

impl Platform {
    pub(super) fn read(extension: &[u8]) -> Result<Self, Error> {
        let fields = fields(extension)?;
        let (components, pce_svn) = tcb(only(&fields, TCB)?)?;
        let [dynamic, cached_keys, smt_enabled] = configuration(&fields)?;
        Ok(Self {
            ppid: octets(only(&fields, PPID)?)?,
            fmspc: octets(only(&fields, FMSPC)?)?,
            pce_id: octets(only(&fields, PCE_ID)?)?,
            components,
            pce_svn,
            sgx_type: SgxType::read(only(&fields, SGX_TYPE)?)?,
            instance: optional(&fields, PLATFORM_INSTANCE)?
                .map(octets)
                .transpose()?,
            dynamic,
            cached_keys,
            smt_enabled,
        })
    }
}

type Field<'a> = (ObjectIdentifier, AnyRef<'a>);

fn fields(der: &[u8]) -> Result<Vec<Field<'_>>, Error> {
    let read = || {
        let mut reader = SliceReader::new(der)?;
        let fields = reader.sequence(|reader| {
            let mut fields = Vec::new();
            while !reader.is_finished() {
                fields.push(read_field(reader)?);
            }
            Ok::<_, der::Error>(fields)
        })?;
        reader.finish()?;
        Ok::<_, der::Error>(fields)
    };
    read().map_err(|_| Error::SgxExtension)
}

fn read_field<'a>(reader: &mut SliceReader<'a>) -> der::Result<Field<'a>> {
    reader.sequence(|reader| {
        Ok::<_, der::Error>((ObjectIdentifier::decode(reader)?, AnyRef::decode(reader)?))
    })
}

fn only<'a>(fields: &[Field<'a>], id: ObjectIdentifier) -> Result<AnyRef<'a>, Error> {
    let mut found = fields.iter().filter(|field| field.0 == id);
    match (found.next(), found.next()) {
        (Some(field), None) => Ok(field.1),
        _ => Err(Error::SgxExtension),
    }
}

fn optional<'a>(fields: &[Field<'a>], id: ObjectIdentifier) -> Result<Option<AnyRef<'a>>, Error> {
    if fields.iter().any(|field| field.0 == id) {
        only(fields, id).map(Some)
    } else {
        Ok(None)
    }
}

fn octets<const N: usize>(value: AnyRef<'_>) -> Result<[u8; N], Error> {
    let octets: &OctetStringRef = value.decode_as().map_err(|_| Error::SgxExtension)?;
    octets
        .as_bytes()
        .try_into()
        .map_err(|_| Error::SgxExtension)
}

/// The optional `Configuration` of platforms with several processors.
fn configuration(fields: &[Field<'_>]) -> Result<[Option<bool>; 3], Error> {
    let Some(configuration) = optional(fields, CONFIGURATION)? else {
        return Ok([None; 3]);
    };
    let fields = nested(configuration)?;
    let mut flags = [None; 3];
    for (flag, number) in flags.iter_mut().zip(1..) {
        let id = CONFIGURATION
            .push_arc(number)
            .map_err(|_| Error::SgxExtension)?;
        if let Some(value) = optional(&fields, id)? {
            *flag = Some(value.decode_as().map_err(|_| Error::SgxExtension)?);
        }
    }
    Ok(flags)
}

fn nested(value: AnyRef<'_>) -> Result<Vec<Field<'_>>, Error> {
    let read = || {
        value.sequence(|reader| {
            let mut fields = Vec::new();
            while !reader.is_finished() {
                fields.push(read_field(reader)?);
            }
            Ok::<_, der::Error>(fields)
        })
    };
    read().map_err(|_| Error::SgxExtension)
}

fn tcb(value: AnyRef<'_>) -> Result<([u8; 16], u16), Error> {
    let fields = nested(value)?;
    let svn = |number: u32| {
        let id = TCB.push_arc(number).map_err(|_| Error::SgxExtension)?;
        let value = only(&fields, id)?;
        value.decode_as::<u16>().map_err(|_| Error::SgxExtension)
    };
    let mut components = [0; 16];
    for (component, number) in components.iter_mut().zip(1..) {
        *component = u8::try_from(svn(number)?).map_err(|_| Error::SgxExtension)?;
    }
    Ok((components, svn(PCE_SVN)?))
}
