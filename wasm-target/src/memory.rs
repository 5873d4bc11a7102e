//! Memory for the bytes that hostcalls return. The host requests it by a callback during the hostcall; the functions here
//! make such a call and release the memory.

use core::cell::{Cell, UnsafeCell};

use portcullis::host::HostError;

/// Size of the scratch buffer, which serves most hostcalls of a request without an allocation.
const SCRATCH_SIZE: usize = 64 * 1024;

struct Scratch(UnsafeCell<[u8; SCRATCH_SIZE]>);

// SAFETY: a proxy-wasm VM has one thread.
unsafe impl Sync for Scratch {}

static SCRATCH: Scratch = Scratch(UnsafeCell::new([0; SCRATCH_SIZE]));

thread_local! {
    /// Whether the current hostcall may use the scratch buffer.
    static SCRATCH_OFFERED: Cell<bool> = const { Cell::new(false) };

    /// The last allocation of the host, and its size.
    static LAST: Cell<(*mut u8, usize)> = const { Cell::new((core::ptr::null_mut(), 0)) };
}

/// Memory of `size` bytes for the host. Null if there is none: the hostcall fails, and the VM continues.
pub fn allocate(size: usize) -> *mut u8 {
    let memory = if size <= SCRATCH_SIZE && SCRATCH_OFFERED.replace(false) {
        SCRATCH.0.get().cast()
    } else {
        let mut memory = Vec::new();
        if memory.try_reserve_exact(size).is_err() {
            return core::ptr::null_mut();
        }
        memory.resize(size, 0);
        memory.leak().as_mut_ptr()
    };
    LAST.set((memory, size));
    memory
}

/// The capacity of the host's last allocation, if `data` and `size` are within it.
fn take_capacity(data: *mut u8, size: usize) -> Option<usize> {
    let (memory, capacity) = LAST.replace((core::ptr::null_mut(), 0));
    (core::ptr::eq(data, memory) && size <= capacity).then_some(capacity)
}

/// Makes a hostcall and returns its bytes; `None` if it returned none.
pub fn owned_bytes(
    call: impl FnOnce(*mut *mut u8, *mut usize) -> Result<(), HostError>,
) -> Result<Option<Vec<u8>>, HostError> {
    let mut data: *mut u8 = core::ptr::null_mut();
    let mut size = 0;
    call(&mut data, &mut size)?;
    if data.is_null() {
        return Ok(None);
    }
    let Some(capacity) = take_capacity(data, size) else {
        return Ok(None);
    };
    // SAFETY: `allocate` made a vector of this capacity, since the scratch buffer was not offered.
    Ok(Some(unsafe { Vec::from_raw_parts(data, size, capacity) }))
}

/// Makes a hostcall and passes its bytes to `visit`, in the scratch buffer if they fit. `visit` must not call this
/// function.
pub fn visit_bytes(
    call: impl FnOnce(*mut *mut u8, *mut usize) -> Result<(), HostError>,
    visit: impl FnOnce(&[u8]),
) {
    let mut data: *mut u8 = core::ptr::null_mut();
    let mut size = 0;
    SCRATCH_OFFERED.set(true);
    let result = call(&mut data, &mut size);
    SCRATCH_OFFERED.set(false);
    if result.is_err() || data.is_null() {
        return;
    }
    let Some(capacity) = take_capacity(data, size) else {
        return;
    };
    if core::ptr::eq(data, SCRATCH.0.get().cast()) {
        // SAFETY: the host wrote `size` bytes to the scratch buffer, and no other call writes to it while `visit` runs.
        visit(unsafe { core::slice::from_raw_parts(data, size) });
    } else {
        // SAFETY: not the scratch buffer, so `allocate` made a vector of this capacity.
        visit(&unsafe { Vec::from_raw_parts(data, size, capacity) });
    }
}
