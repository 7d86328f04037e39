package file

import "syscall"

// largeFile lets a file have more than 2 GB where a long has 32 bits. os.Open sees to that by itself, os.Root does not.
const largeFile = syscall.O_LARGEFILE
