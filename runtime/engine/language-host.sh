#!/bin/sh
# Pulumi's language host for Node.js on a machine that Pulumi publishes none for. The engine starts it in the folder
# of the stack, which is a clone of buildhosts after `npm ci`.
PATH=node_modules/.bin:$PATH
exec node runtime/engine/languageHost.ts "$@"
