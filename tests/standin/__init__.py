"""A local stand-in for SendGrid's v3 API that refuses, loses and reports mail as SendGrid does."""
