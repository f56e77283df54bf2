#!/usr/bin/env node
import module from 'node:module';

// Compiled code kept from one start to the next (Node 22.1 and later); what is loaded before it would miss it.
(module as { enableCompileCache?: () => unknown }).enableCompileCache?.();
void import('./index.js').then(({ Program }) => new Program().start());
