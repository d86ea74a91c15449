//! V8 through the C interface of the pinned `libmini_racer.so`.
//!
//! Invariant: the declarations here are those of exactly the version that [`crate::engine`] pins; nothing else loads the library.
//! V8 runs each context on a thread of its own and answers through one callback; [`Context`] waits for that answer, one call at
//! a time. Values are never freed: a context lives for one job, and its process ends with it.

use crate::engine::V8_VERSION;
use libloading::Library;
use std::ffi::{CStr, CString, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Condvar, Mutex};

/// A value as the library lays it out.
#[repr(C, packed)]
struct RawValue {
    /// A pointer, an integer or a double, by `kind`.
    payload: u64,
    length: usize,
    kind: u8,
}

const KIND_STRING: u8 = 5;
const KIND_ERROR_FIRST: u8 = 200;
const KIND_ERROR_PARSE: u8 = 201;
const KIND_ERROR_MEMORY: u8 = 202;

type Callback = extern "C" fn(u64, *mut RawValue);

struct Functions {
    init_context: unsafe extern "C" fn(Callback) -> u64,
    eval: unsafe extern "C" fn(u64, *mut RawValue, u64) -> u64,
    call_function:
        unsafe extern "C" fn(u64, *mut RawValue, *mut RawValue, *mut RawValue, u64) -> u64,
    alloc_string_val: unsafe extern "C" fn(u64, *const c_char, u64, u8) -> *mut RawValue,
    array_push: unsafe extern "C" fn(u64, *mut RawValue, *mut RawValue) -> *mut RawValue,
    set_hard_memory_limit: unsafe extern "C" fn(u64, usize),
    hard_memory_limit_reached: unsafe extern "C" fn(u64) -> bool,
}

/// One thread only, so that fork is sound; fixed hashes and stack, so that runs are equal; no WebAssembly memory and no Temporal
/// (a second clock), should a script find a way past the prelude.
const V8_FLAGS: &str = "--single-threaded --random-seed=42 --hash-seed=7 --stack-size=800 --wasm-max-mem-pages=256 --no-harmony-temporal";

/// The loaded and initialised engine.
pub struct Engine {
    functions: Functions,
    v8_version: String,
    /// The functions point into it.
    _library: Library,
}

/// Why the library cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("the engine cannot be loaded")]
    Load(#[from] libloading::Error),
    #[error("a path of the engine contains a zero byte")]
    Path(#[from] std::ffi::NulError),
}

impl Engine {
    /// Loads the engine with the flags that every host uses, and checks that it is the pinned one.
    pub(crate) fn load_pinned(library: &Path, icu: Option<&Path>) -> Result<Self, String> {
        let engine =
            Self::load(library, icu, V8_FLAGS).map_err(|error| crate::child::chain(&error))?;
        if engine.v8_version() != V8_VERSION {
            return Err(format!(
                "the engine says it is V8 {}, not {V8_VERSION}",
                engine.v8_version()
            ));
        }
        Ok(engine)
    }

    /// Loads the library and starts V8 with `flags`. At most once per process; the caller has no other threads.
    pub fn load(library: &Path, icu: Option<&Path>, flags: &str) -> Result<Self, LoadError> {
        let icu = CString::new(icu.map_or(&b""[..], |path| path.as_os_str().as_bytes()))?;
        let flags = CString::new(flags)?;
        // SAFETY: the caller chose a file with the pinned hash, whose initialisers are known to be harmless, and the signatures
        // below are those of that version. `flags` and `icu` live through the call.
        unsafe {
            let library = Library::new(library)?;
            let init_v8: unsafe extern "C" fn(*const c_char, *const c_char) =
                *library.get(b"mr_init_v8\0")?;
            let v8_version: unsafe extern "C" fn() -> *const c_char =
                *library.get(b"mr_v8_version\0")?;
            let functions = Functions {
                init_context: *library.get(b"mr_init_context\0")?,
                eval: *library.get(b"mr_eval\0")?,
                call_function: *library.get(b"mr_call_function\0")?,
                alloc_string_val: *library.get(b"mr_alloc_string_val\0")?,
                array_push: *library.get(b"mr_array_push\0")?,
                set_hard_memory_limit: *library.get(b"mr_set_hard_memory_limit\0")?,
                hard_memory_limit_reached: *library.get(b"mr_hard_memory_limit_reached\0")?,
            };
            let v8_version = CStr::from_ptr(v8_version()).to_string_lossy().into_owned();
            init_v8(flags.as_ptr(), icu.as_ptr());
            Ok(Self { functions, v8_version, _library: library })
        }
    }

    /// V8's version, as the library reports it.
    pub fn v8_version(&self) -> &str {
        &self.v8_version
    }

    /// A fresh isolate. Starts one thread, so only a forked child may call it.
    pub fn context(&self) -> Context<'_> {
        // SAFETY: the callback is a plain function that lives as long as the process.
        let id = unsafe { (self.functions.init_context)(deliver) };
        Context { functions: &self.functions, id, calls: 0 }
    }
}

/// One isolate.
pub struct Context<'engine> {
    functions: &'engine Functions,
    id: u64,
    calls: u64,
}

/// A value in the isolate, owned by the library.
#[derive(Clone, Copy)]
pub struct Handle(*mut RawValue);

/// What an evaluation gave.
pub enum Answer {
    /// A string, or the handle of anything else.
    Text(String),
    /// Anything that is not a string.
    Other(Handle),
    /// The source does not parse; the engine's report.
    ParseError(String),
    /// It threw or was ended; the engine's report.
    Error(String),
    /// The heap limit was reached.
    OutOfMemory,
}

impl Context<'_> {
    /// Evaluates a classic script.
    pub fn eval(&mut self, source: &str) -> Answer {
        let source = self.string(source);
        self.calls += 1;
        // SAFETY: the context lives, and `source` is a handle of it.
        unsafe { (self.functions.eval)(self.id, source.0, self.calls) };
        self.answer()
    }

    /// Calls `function` with the items of the array `arguments`; `this` is `arguments` too, which a strict function ignores.
    pub fn call(&mut self, function: Handle, arguments: Handle) -> Answer {
        self.calls += 1;
        // SAFETY: the context lives, and the handles are its own.
        unsafe {
            (self.functions.call_function)(
                self.id,
                function.0,
                arguments.0,
                arguments.0,
                self.calls,
            )
        };
        self.answer()
    }

    /// A string in the isolate.
    pub fn string(&self, text: &str) -> Handle {
        // SAFETY: pointer and length are of a live buffer, which the library copies.
        Handle(unsafe {
            (self.functions.alloc_string_val)(
                self.id,
                text.as_ptr().cast(),
                text.len() as u64,
                KIND_STRING,
            )
        })
    }

    /// Appends to an array of the isolate.
    pub fn push(&self, array: Handle, item: Handle) {
        // SAFETY: the context lives, and the handles are its own.
        unsafe { (self.functions.array_push)(self.id, array.0, item.0) };
    }

    /// Ends evaluation with [`Answer::OutOfMemory`] when the heap is larger than this after a collection.
    pub fn set_heap_limit(&self, bytes: usize) {
        // SAFETY: the context lives.
        unsafe { (self.functions.set_hard_memory_limit)(self.id, bytes) };
    }

    /// Whether the heap limit was ever reached. V8 then ends whatever runs; a promise job ends without a report.
    pub fn heap_limit_reached(&self) -> bool {
        // SAFETY: the context lives.
        unsafe { (self.functions.hard_memory_limit_reached)(self.id) }
    }

    fn answer(&mut self) -> Answer {
        let mut delivered = DELIVERED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let address = loop {
            match delivered.take() {
                Some((call, address)) if call == self.calls => break address,
                _ => {
                    delivered =
                        ARRIVED.wait(delivered).unwrap_or_else(|poisoned| poisoned.into_inner())
                }
            }
        };
        let handle = Handle(address as *mut RawValue);
        // SAFETY: the library delivered this pointer for the current call and keeps the value until it is freed, which is never.
        let (payload, length, kind) =
            unsafe { ((*handle.0).payload, (*handle.0).length, (*handle.0).kind) };
        let text = || {
            // SAFETY: strings and errors carry a pointer to `length` bytes, owned by the same value.
            let bytes =
                unsafe { std::slice::from_raw_parts(payload as usize as *const u8, length) };
            String::from_utf8_lossy(bytes).into_owned()
        };
        match kind {
            KIND_STRING => Answer::Text(text()),
            KIND_ERROR_PARSE => Answer::ParseError(text()),
            KIND_ERROR_MEMORY => Answer::OutOfMemory,
            KIND_ERROR_FIRST.. => Answer::Error(text()),
            _ => Answer::Other(handle),
        }
    }
}

/// The last answer: the call's number and the address of its value. A static, because the library's callback has no user data;
/// one is enough, because a process has one context and waits for each answer.
static DELIVERED: Mutex<Option<(u64, usize)>> = Mutex::new(None);
static ARRIVED: Condvar = Condvar::new();

/// Runs on the isolate's thread.
extern "C" fn deliver(call: u64, value: *mut RawValue) {
    *DELIVERED.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) =
        Some((call, value as usize));
    ARRIVED.notify_one();
}
