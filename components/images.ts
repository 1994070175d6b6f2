/** Registers emulators with a kernel; the digest is that of all platforms' index. */
export const BINFMT_IMAGE =
  "tonistiigi/binfmt:qemu-v10.2.3@sha256:400a4873b838d1b89194d982c45e5fb3cda4593fbfd7e08a02e76b03b21166f0";
