#!/usr/bin/env node
import module from 'node:module';

// Compiled code kept from one start to the next (Node 22.1 and later); what is imported statically would miss it.
(module as { enableCompileCache?: () => unknown }).enableCompileCache?.();
const { Program } = await import('./program.js');
await new Program().start();
