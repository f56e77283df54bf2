#!/usr/bin/env node
void import('./index.js').then(({ Program }) => new Program().start());
