//! The attributes on functions of all forms, and in code that has its own idea of the names around.

#![deny(warnings)]

/// Named like what the attributes expand to.
#[allow(dead_code)]
mod strange {
    use ::cache_core as renamed;
    use ::cache_core::{cached, invalidates};

    pub(crate) type Result<T> = ::std::result::Result<T, renamed::ComputeError<Failure>>;

    pub(crate) struct Ok;
    pub(crate) struct Err;
    pub(crate) struct Option;
    pub(crate) struct Cache;
    pub(crate) struct Tag;
    pub(crate) struct Key;
    pub(crate) struct Text;
    pub(crate) mod core {}
    pub(crate) mod std {}
    pub(crate) mod cache_core {}

    #[derive(Debug)]
    pub(crate) struct Failure;

    #[cached(
        crate = renamed,
        cache = cache,
        namespace = kind,
        key = "{call}:{kind}:{change}:{output}:{type}:{values}",
        ttl = "1m",
        tags("{call}"),
        skip(cache)
    )]
    pub(crate) async fn shadowing(
        cache: &renamed::Cache,
        call: u8,
        kind: &str,
        change: u8,
        output: char,
        r#type: u8,
        mut values: u8,
    ) -> Result<u8> {
        values += 1;
        if values == 0 {
            return ::std::result::Result::Err(Failure);
        }
        ::std::result::Result::Ok(
            call + change + r#type + values + u8::from(output.is_alphabetic()),
        )
    }

    #[invalidates(crate = renamed, cache = cache, tags("{change}"))]
    pub(crate) async fn change(cache: &renamed::Cache, change: u8, output: u8) -> u8 {
        change + output
    }
}

mod forms {
    use std::fmt::Display;
    use std::sync::Arc;

    use cache_core::{Cache, ComputeError, Tag, cached, invalidates};
    use serde::{Serialize, de::DeserializeOwned};

    pub(crate) trait Kind {
        const NAME: &'static str;
    }

    impl Kind for u8 {
        const NAME: &'static str = "u8";
    }

    impl Kind for u64 {
        const NAME: &'static str = "u64";
    }

    pub(crate) trait Repository {
        async fn find(&mut self, id: u64) -> Result<String, ComputeError<std::fmt::Error>>;
    }

    pub(crate) struct Memory<'a> {
        pub(crate) cache: Arc<Cache>,
        pub(crate) name: &'a str,
        pub(crate) found: usize,
    }

    impl Repository for Memory<'_> {
        #[cached(cache = self.cache, namespace = "find", key = "{self.name}:{id}")]
        async fn find(&mut self, id: u64) -> Result<String, ComputeError<std::fmt::Error>> {
            use std::fmt::Write;
            self.found += 1;
            let mut text = String::new();
            write!(text, "{id} of {}", self.name)?;
            Ok(text)
        }
    }

    impl Memory<'_> {
        #[cached(cache = self.cache, namespace = "consumed", key = "{self.name}")]
        pub(crate) async fn consumed(self) -> usize {
            self.name.len()
        }
    }

    #[cached(
        cache = state.0,
        namespace = "generic",
        key = "{T::NAME}:{N}:{text}:{pair.0}:{a}:{point:hash}",
        tags(Tag::new(a.to_string())),
        skip(state, S),
    )]
    pub(crate) async fn generic<'a, T, S, const N: usize>(
        state: &(Cache, u8),
        text: S,
        pair: (u8, u8),
        [a, _]: [u8; 2],
        point: &'a (impl Serialize + Sync),
    ) -> Option<T>
    where
        T: Kind + Default + Serialize + DeserializeOwned + Send,
        S: Display + Send,
    {
        let _ = (text, pair, a, point);
        (N > 0).then(T::default)
    }

    #[cached(cache = cache, namespace = "boxed", key = "{n}", skip(cache))]
    pub(crate) async fn boxed(cache: &Cache, n: u8) -> Result<Box<[u8]>, ComputeError<Boxed>> {
        if n == 0 {
            return Err("zero".into());
        }
        let parsed: u8 = n.to_string().parse()?;
        Ok(Box::new([parsed]))
    }

    pub(crate) type Boxed = Box<dyn std::error::Error + Send + Sync>;

    #[invalidates(cache = *cache, tags("{{{n}}}"), strict)]
    pub(crate) async fn change(cache: &Cache, n: u8) -> Result<&'static str, Boxed> {
        let _: u8 = n.to_string().parse()?;
        Ok("changed")
    }

    pub(crate) fn is_send<T: Send>(value: T) -> T {
        value
    }
}

use forms::{Memory, Repository, boxed, change, generic, is_send};

#[tokio::test]
async fn names_around_mean_nothing_to_the_attributes() {
    let cache = cache_core::Cache::builder().build().unwrap();
    assert_eq!(strange::shadowing(&cache, 1, "k", 2, 'c', 3, 4).await.unwrap(), 12);
    assert_eq!(strange::change(&cache, 1, 2).await, 3);
    let key = "1:k:2:c:3:4";
    assert_eq!(cache.get::<u8>("k", key).await.unwrap(), None, "the tag was `1`");
}

#[tokio::test]
async fn functions_of_all_forms_are_cached() {
    let cache = cache_core::Cache::builder().build().unwrap();
    let mut memory = Memory { cache: cache.clone().into(), name: "m", found: 0 };
    for _ in 0..2 {
        assert_eq!(memory.find(7).await.unwrap(), "7 of m");
    }
    assert_eq!((memory.found, memory.consumed().await), (1, 1));

    let state = (cache.clone(), 0);
    let call = generic::<u8, _, 1>(&state, "t", (1, 2), [3, 4], &("x", 1));
    assert_eq!(is_send(call).await, Some(0));
    let other = generic::<u64, _, 0>(&state, 'c', (1, 2), [3, 4], &());
    assert_eq!(is_send(other).await, None);

    assert_eq!(*is_send(boxed(&cache, 1)).await.unwrap(), [1]);
    assert!(boxed(&cache, 0).await.is_err());
    assert_eq!(is_send(change(&cache, 1)).await.unwrap(), "changed");
}
