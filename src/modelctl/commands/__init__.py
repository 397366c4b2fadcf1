"""One verb a module: parsed values in, one frozen result out. Nothing here prints."""
