//! `wasi:keyvalue`: values in the Keep's memory, which all instances of a program share and
//! which end with it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use wasmtime::{
    Result, StoreContextMut,
    component::{ComponentType, Lift, Linker, Lower, Resource, ResourceType},
};

use super::State;

/// The interfaces (`wasi:keyvalue`, WIT package of version 0.2.0-draft).
const STORE: &str = "wasi:keyvalue/store@0.2.0-draft";
const ATOMICS: &str = "wasi:keyvalue/atomics@0.2.0-draft";
const BATCH: &str = "wasi:keyvalue/batch@0.2.0-draft";

/// Keys and values of a program.
#[derive(Default)]
pub struct Values(Mutex<Contents>);

#[derive(Default)]
struct Contents {
    values: BTreeMap<String, Vec<u8>>,
    /// Bytes of keys and values, and what each takes beside them.
    size: usize,
}

/// Bytes that keys and values may take.
const CAPACITY: usize = 64 << 20;

/// What an entry takes beside its bytes.
const OVERHEAD: usize = 64;

/// Keys that are listed at a time.
const PAGE: usize = 1000;

impl Contents {
    fn set(&mut self, key: String, value: Vec<u8>) -> Result<(), Error> {
        let old = self.values.get(&key).map_or(0, |old| size(&key, old));
        let new = size(&key, &value);
        let total = self.size - old + new;
        if total > CAPACITY {
            return Err(Error::Other(format!(
                "the store holds at most {CAPACITY} bytes"
            )));
        }
        self.size = total;
        self.values.insert(key, value);
        Ok(())
    }

    fn delete(&mut self, key: &str) {
        if let Some(value) = self.values.remove(key) {
            self.size -= size(key, &value);
        }
    }

    fn increment(&mut self, key: String, delta: u64) -> Result<u64, Error> {
        let number = match self.values.get(&key) {
            None => 0,
            Some(value) => str::from_utf8(value)
                .ok()
                .and_then(|text| text.parse::<u64>().ok())
                .ok_or_else(|| Error::Other("the value is no number".to_owned()))?,
        };
        let number = number
            .checked_add(delta)
            .ok_or_else(|| Error::Other("the number would be too large".to_owned()))?;
        self.set(key, number.to_string().into_bytes())?;
        Ok(number)
    }

    fn list(&self, cursor: Option<u64>) -> KeyResponse {
        let start = usize::try_from(cursor.unwrap_or(0)).unwrap_or(usize::MAX);
        let keys: Vec<_> = self.values.keys().skip(start).take(PAGE).cloned().collect();
        let next = start.saturating_add(keys.len());
        KeyResponse {
            cursor: (next < self.values.len()).then_some(next as u64),
            keys,
        }
    }
}

fn size(key: &str, value: &[u8]) -> usize {
    key.len() + value.len() + OVERHEAD
}

impl Values {
    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one bucket that there is; its name is empty or `default`.
struct Bucket;

/// `error`.
#[derive(Debug, ComponentType, Lift, Lower)]
#[component(variant)]
enum Error {
    #[component(name = "no-such-store")]
    NoSuchStore,
    #[component(name = "access-denied")]
    AccessDenied,
    #[component(name = "other")]
    Other(String),
}

/// `key-response`.
#[derive(Debug, ComponentType, Lift, Lower)]
#[component(record)]
struct KeyResponse {
    keys: Vec<String>,
    cursor: Option<u64>,
}

type Caller<'a> = StoreContextMut<'a, State>;
type Handle = Resource<Bucket>;

/// The contents behind `bucket`, which must be one.
fn contents<'a>(caller: &'a Caller<'_>, bucket: &Handle) -> Result<MutexGuard<'a, Contents>> {
    let state = caller.data();
    state.table.get(bucket)?;
    Ok(state.services.values.lock())
}

/// Adds the interfaces.
///
/// # Errors
///
/// When they are there already.
pub fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    add_store(linker)?;
    let mut atomics = linker.instance(ATOMICS)?;
    atomics.func_wrap(
        "increment",
        |caller: Caller<'_>, (bucket, key, delta): (Handle, String, u64)| {
            Ok((contents(&caller, &bucket)?.increment(key, delta),))
        },
    )?;
    let mut batch = linker.instance(BATCH)?;
    batch.func_wrap(
        "get-many",
        |caller: Caller<'_>, (bucket, keys): (Handle, Vec<String>)| {
            let contents = contents(&caller, &bucket)?;
            let get = |key: String| {
                let value = contents.values.get(&key)?.clone();
                Some((key, value))
            };
            let found: Vec<_> = keys.into_iter().map(get).collect();
            Ok((Ok::<_, Error>(found),))
        },
    )?;
    batch.func_wrap(
        "set-many",
        |caller: Caller<'_>, (bucket, pairs): (Handle, Vec<(String, Vec<u8>)>)| {
            let mut contents = contents(&caller, &bucket)?;
            let set = pairs
                .into_iter()
                .try_for_each(|(key, value)| contents.set(key, value));
            Ok((set,))
        },
    )?;
    batch.func_wrap(
        "delete-many",
        |caller: Caller<'_>, (bucket, keys): (Handle, Vec<String>)| {
            let mut contents = contents(&caller, &bucket)?;
            keys.iter().for_each(|key| contents.delete(key));
            Ok((Ok::<_, Error>(()),))
        },
    )
}

fn add_store(linker: &mut Linker<State>) -> Result<()> {
    let mut store = linker.instance(STORE)?;
    store.resource(
        "bucket",
        ResourceType::host::<Bucket>(),
        |mut caller, handle| {
            let bucket = Resource::<Bucket>::new_own(handle);
            caller.data_mut().table.delete(bucket)?;
            Ok(())
        },
    )?;
    store.func_wrap("open", |mut caller: Caller<'_>, (name,): (String,)| {
        Ok((match name.as_str() {
            "" | "default" => Ok(caller.data_mut().table.push(Bucket)?),
            _ => Err(Error::NoSuchStore),
        },))
    })?;
    store.func_wrap(
        "[method]bucket.get",
        |caller: Caller<'_>, (bucket, key): (Handle, String)| {
            let value = contents(&caller, &bucket)?.values.get(&key).cloned();
            Ok((Ok::<_, Error>(value),))
        },
    )?;
    store.func_wrap(
        "[method]bucket.set",
        |caller: Caller<'_>, (bucket, key, value): (Handle, String, Vec<u8>)| {
            Ok((contents(&caller, &bucket)?.set(key, value),))
        },
    )?;
    store.func_wrap(
        "[method]bucket.delete",
        |caller: Caller<'_>, (bucket, key): (Handle, String)| {
            contents(&caller, &bucket)?.delete(&key);
            Ok((Ok::<_, Error>(()),))
        },
    )?;
    store.func_wrap(
        "[method]bucket.exists",
        |caller: Caller<'_>, (bucket, key): (Handle, String)| {
            let exists = contents(&caller, &bucket)?.values.contains_key(&key);
            Ok((Ok::<_, Error>(exists),))
        },
    )?;
    store.func_wrap(
        "[method]bucket.list-keys",
        |caller: Caller<'_>, (bucket, cursor): (Handle, Option<u64>)| {
            let keys = contents(&caller, &bucket)?.list(cursor);
            Ok((Ok::<_, Error>(keys),))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_bounded() {
        let mut contents = Contents::default();
        contents.set("a".into(), vec![0; CAPACITY - 100]).unwrap();
        assert!(contents.set("b".into(), vec![0; 100]).is_err());
        contents.set("a".into(), vec![]).unwrap();
        contents.set("b".into(), vec![0; 100]).unwrap();
        contents.delete("a");
        contents.delete("b");
        contents.delete("b");
        assert_eq!(contents.size, 0);
    }

    #[test]
    fn numbers_are_counted_up() {
        let mut contents = Contents::default();
        assert_eq!(contents.increment("n".into(), 3).unwrap(), 3);
        assert_eq!(contents.increment("n".into(), 4).unwrap(), 7);
        assert_eq!(contents.values["n"], b"7");
        assert!(contents.increment("n".into(), u64::MAX).is_err());
        contents.set("n".into(), b"x".to_vec()).unwrap();
        assert!(contents.increment("n".into(), 1).is_err());
    }

    #[test]
    fn keys_are_listed_in_pages() {
        let mut contents = Contents::default();
        for number in 0..=PAGE {
            contents.set(format!("{number:05}"), vec![]).unwrap();
        }
        let first = contents.list(None);
        assert_eq!((first.keys.len(), first.cursor), (PAGE, Some(PAGE as u64)));
        let second = contents.list(first.cursor);
        assert_eq!((second.keys, second.cursor), (vec!["01000".into()], None));
        assert!(contents.list(Some(u64::MAX)).keys.is_empty());
    }
}
